using Iced.Intel;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Uml.Core.Bus;
using Uml.Core.Cpu;
using Uml.Core.Cpu.Control;
using Uml.Core.Cpu.State;
using Uml.Core.Memory;

namespace Uml.Core.Tests.Cpu.System;

/// <summary>
/// A bare processor with descriptor tables in memory: GDT, LDT, IDT and TSS of 64-bit or 32-bit mode. Every vector's handler is a HLT of
/// its own, so that the state a handler begins with can be looked at.
/// </summary>
internal sealed unsafe class SystemMachine : IDisposable
{
    public const ulong Code = 0x10000, Data = 0x20000, Stack = 0x30000, Stack0 = 0x40000, Ist = 0x50000, Handlers = 0x60000,
        UserCode = 0x70000;
    public const ulong PageTables = 0x1000, PageTable = 0x4000, Gdt = 0x6000, Idt = 0x7000, Tss = 0x8000, Ldt = 0x9000;
    public const ushort Code64 = 0x08, Data0 = 0x10, Code32 = 0x18, User32 = 0x23, UserData = 0x2B, User64 = 0x33, TssSelector = 0x38,
        LdtSelector = 0x48, Scratch = 0x58;

    private readonly GuestRam _ram = new(16 << 20);
    private int _bitness;

    /// <param name="engine">What runs the code.</param>
    /// <param name="threshold">Runs in the interpreter before a block is translated: none if nothing is said.</param>
    /// <param name="clock">Guest time, which does not pass if nothing is said.</param>
    /// <param name="logger">What the processor logs to.</param>
    /// <param name="check">What becomes of translated code that the checker refuses; the tests' default if nothing is said.</param>
    public SystemMachine(
        CpuEngine engine,
        ulong codeCacheSize = 4 << 20,
        int threshold = 0,
        IMachineClock? clock = null,
        ILogger? logger = null,
        TranslationCheck? check = null)
    {
        Bus = new MachineBus(_ram.Ranges);
        CpuOptions options = new() { Engine = engine, Model = CpuModel.X64V3, CodeCacheSize = codeCacheSize, TranslationThreshold = threshold };
        options.TranslationCheck = check ?? options.TranslationCheck;
        Cpu = new VirtualCpu(0, _ram, Bus, clock ?? new StoppedClock(), options, logger ?? NullLogger.Instance);
    }

    public VirtualCpu Cpu { get; }

    public MachineBus Bus { get; }

    public CpuState* State => Cpu.State;

    public ref ulong Rsp => ref State->Gpr[4];

    public ref ulong Rax => ref State->Gpr[0];

    public ushort Cs => State->Segments[(int)SegmentIndex.Cs].Selector;

    public ushort Ss => State->Segments[(int)SegmentIndex.Ss].Selector;

    /// <summary>64-bit mode at CPL 0.</summary>
    public SystemMachine Start64()
    {
        _bitness = 64;
        Poke(PageTables, 0x2000 | 7UL);
        Poke(0x2000, 0x3000 | 7UL);
        Poke(0x3000, PageTable | 7UL);
        for (ulong page = 0; page < 512; page++)
        {
            Map(page << 12, page << 12);
        }

        WriteGdt();
        for (int vector = 0; vector < 256; vector++)
        {
            SetGate64(vector, Handlers + ((ulong)vector * 16));
            Poke(Handlers + ((ulong)vector * 16), (byte)0xF4);
        }

        // TSS: RSP0 at 4, IST1 at 36; no I/O bitmap.
        Poke(Tss + 4, Stack0);
        Poke(Tss + 36, Ist);
        Poke(Tss + 102, (ushort)104);
        CpuReset.EnterLong64(State, Code, PageTables, Code64, Data0);
        CpuReset.SetTables(State, Gdt, 0x7F, Idt, 0xFFF);
        State->Segments[(int)SegmentIndex.Tr] = new SegmentRegister { Base = Tss, Limit = 0x67, Selector = TssSelector, Attributes = 0x8B };
        Rsp = Stack;
        return this;
    }

    /// <summary>32-bit protected mode without paging at CPL 0.</summary>
    public SystemMachine Start32()
    {
        _bitness = 32;
        WriteGdt();
        for (int vector = 0; vector < 256; vector++)
        {
            SetGate32(vector, (uint)(Handlers + ((ulong)vector * 16)));
            Poke(Handlers + ((ulong)vector * 16), (byte)0xF4);
        }

        Poke(Tss + 4, (uint)Stack0);
        Poke(Tss + 8, Data0);
        Poke(Tss + 102, (ushort)104);
        CpuReset.EnterProtected32Flat(State, (uint)Code, Code32, Data0);
        CpuReset.SetTables(State, Gdt, 0x7F, Idt, 0x7FF);
        State->Segments[(int)SegmentIndex.Tr] = new SegmentRegister { Base = Tss, Limit = 0x67, Selector = TssSelector, Attributes = 0x8B };
        Rsp = Stack;
        return this;
    }

    /// <summary>Real-address mode at 1000:0000, stack at 2000:8000, interrupt table at 0.</summary>
    public SystemMachine Start16()
    {
        _bitness = 16;
        for (int vector = 0; vector < 256; vector++)
        {
            Poke((ulong)vector * 4, (uint)(0x6000 << 16) | (uint)(vector * 16));
            Poke(Handlers + ((ulong)vector * 16), (byte)0xF4);
        }

        CpuReset.EnterReal16(State, 0x1000, 0);
        ref SegmentRegister ss = ref State->Segments[(int)SegmentIndex.Ss];
        (ss.Selector, ss.Base) = (0x2000, 0x20000);
        Rsp = 0x8000;
        return this;
    }

    /// <summary>Puts code at an address of the current bitness.</summary>
    public SystemMachine Load(Action<Assembler> code, ulong at = Code, int bitness = 0)
    {
        Assembler assembler = new(bitness == 0 ? _bitness : bitness);
        code(assembler);
        using MemoryStream stream = new();
        assembler.Assemble(new StreamCodeWriter(stream), _bitness == 16 ? at - Code : at);
        Assert.That(_ram.TryWrite(new(at), stream.ToArray()));
        return this;
    }

    /// <summary>Loads code, runs it to the next HLT and returns the number of the handler that executed it (-1: the code itself).</summary>
    public int RunToHalt(Action<Assembler> code)
    {
        Load(code);
        State->Halted = false;
        State->Rip = _bitness == 16 ? 0 : Code;
        return RunToHalt();
    }

    public int RunToHalt()
    {
        Assert.That(Cpu.Run(10_000), Is.EqualTo(RunResult.Halted));
        ulong linear = State->Rip + (_bitness == 16 ? State->Segments[(int)SegmentIndex.Cs].Base : 0);
        return linear is > Handlers and <= Handlers + 0x1000 ? (int)((linear - 1 - Handlers) / 16) : -1;
    }

    /// <summary>Leaves CPL 0 of 64-bit mode for 64-bit user code.</summary>
    public static void GoToUser(Assembler a, ulong at = UserCode, ushort cs = User64, int flags = 0x202)
    {
        a.push(UserData);
        a.push((int)Stack);
        a.push(flags);
        a.push(cs);
        a.push((int)at);
        a.iretq();
    }

    public void SetGate64(int vector, ulong target, int type = 0x8E, int ist = 0, ushort selector = Code64)
    {
        Poke(Idt + ((ulong)vector * 16), (target & 0xFFFF) | ((ulong)selector << 16) | ((ulong)ist << 32) | ((ulong)type << 40)
            | ((target & 0xFFFF0000) << 32));
        Poke(Idt + ((ulong)vector * 16) + 8, target >> 32);
    }

    public void SetGate32(int vector, uint target, int type = 0x8E, ushort selector = Code32) =>
        Poke(
            Idt + ((ulong)vector * 8),
            (target & 0xFFFF) | ((ulong)selector << 16) | ((ulong)type << 40) | ((ulong)(target & 0xFFFF0000) << 32));

    public void SetDescriptor(ushort selector, ulong descriptor) => Poke(Gdt + (ulong)(selector & 0xFFF8), descriptor);

    /// <summary>A descriptor from its parts; flags are G, D/B, L, AVL in bits 3..0.</summary>
    public static ulong Descriptor(uint @base, uint limit, int access, int flags) =>
        (limit & 0xFFFF) | ((ulong)(@base & 0xFFFFFF) << 16) | ((ulong)access << 40) | ((ulong)(limit >> 16 & 0xF) << 48)
        | ((ulong)flags << 52) | ((ulong)(@base >> 24) << 56);

    /// <summary>Sets accessed and dirty bits in the tables that lead to the page table, as kernels do: the emitted page walk writes then.</summary>
    public SystemMachine MarkTables()
    {
        foreach (ulong entry in new[] { PageTables, 0x2000UL, 0x3000UL })
        {
            Poke(entry, Peek<ulong>(entry) | 0x60);
        }

        return this;
    }

    public void Map(ulong linear, ulong physical, ulong flags = 7)
    {
        Poke(PageTable + ((linear >> 12) * 8), physical | flags);
        Uml.Core.Cpu.Paging.Mmu.InvalidatePage(State, linear);
    }

    public void Poke<T>(ulong physical, T value) where T : unmanaged =>
        Assert.That(_ram.TryWrite(new(physical), new ReadOnlySpan<byte>(&value, sizeof(T))));

    /// <summary>All of the RAM that tests use.</summary>
    public byte[] ReadMemory()
    {
        byte[] bytes = new byte[2 << 20];
        Assert.That(_ram.TryRead(new(0), bytes));
        return bytes;
    }

    public T Peek<T>(ulong physical) where T : unmanaged
    {
        T value;
        Assert.That(_ram.TryRead(new(physical), new Span<byte>(&value, sizeof(T))));
        return value;
    }

    /// <summary>A value of the current 64-bit stack, counted in quadwords from its top.</summary>
    public ulong Frame(int index) => Peek<ulong>(Rsp + ((ulong)index * 8));

    public void Dispose()
    {
        Cpu.Dispose();
        _ram.Dispose();
    }

    private void WriteGdt()
    {
        Poke(Gdt, 0UL);
        SetDescriptor(Code64, Descriptor(0, 0xFFFFF, 0x9B, 0xA));
        SetDescriptor(Data0, Descriptor(0, 0xFFFFF, 0x93, 0xC));
        SetDescriptor(Code32, Descriptor(0, 0xFFFFF, 0x9B, 0xC));
        SetDescriptor(User32, Descriptor(0, 0xFFFFF, 0xFB, 0xC));
        SetDescriptor(UserData, Descriptor(0, 0xFFFFF, 0xF3, 0xC));
        SetDescriptor(User64, Descriptor(0, 0xFFFFF, 0xFB, 0xA));
        SetDescriptor(TssSelector, Descriptor((uint)Tss, 0x67, 0x89, 0));
        SetDescriptor(LdtSelector, Descriptor((uint)Ldt, 0x1F, 0x82, 0));
    }

    /// <summary>Guest time that does not pass.</summary>
    private sealed class StoppedClock : IMachineClock
    {
        public bool IsVirtual => true;

        public ulong Nanoseconds => 1000;

        public ulong TscFrequency => 1_000_000_000;

        public DateTimeOffset StartTime => DateTimeOffset.UnixEpoch;

        public ulong ReadTsc() => 1000;

        public IMachineTimer CreateTimer(string name, Action callback) => throw new NotSupportedException();
    }
}
