using Iced.Intel;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Uml.Core.Bus;
using Uml.Core.Cpu;
using Uml.Core.Cpu.Interpreter;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;
using Uml.Core.Memory;

namespace Uml.Tests.Shared;

/// <summary>
/// A bare processor with RAM, in the mode that one of the Start methods enters: 64-bit with page tables, 32-bit without, or 16-bit. Descriptor
/// tables are in memory, and every vector's handler is a HLT of its own, so that the state a handler begins with can be looked at.
/// </summary>
// SAFETY: the state is the processor's, which lives until this is disposed; values are copied by their size.
internal sealed unsafe partial class BareGuest : IDisposable
{
    public const ulong Code = 0x10000, Data = 0x20000, Stack = 0x30000, Stack0 = 0x40000, Ist = 0x50000, Handlers = 0x60000,
        UserCode = 0x70000;

    private int _bitness;

    /// <param name="engine">What runs the code.</param>
    /// <param name="codeCacheSize">Bytes.</param>
    /// <param name="threshold">Runs in the interpreter before a block is translated: none if nothing is said.</param>
    /// <param name="memorySize">Bytes of RAM.</param>
    /// <param name="clock">Guest time, which does not pass if nothing is said.</param>
    /// <param name="logger">What the processor logs to.</param>
    /// <param name="check">What becomes of translated code that the checker refuses; the tests' default if nothing is said.</param>
    public BareGuest(
        CpuEngine engine = CpuEngine.Interpreter,
        ulong codeCacheSize = 4 << 20,
        int threshold = 0,
        ulong memorySize = 16 << 20,
        IMachineClock? clock = null,
        ILogger? logger = null,
        TranslationCheck? check = null)
    {
        Ram = new GuestRam(memorySize);
        _freeTables = memorySize;
        Bus = new MachineBus(Ram.Ranges);
        CpuOptions options = new() { Engine = engine, Model = CpuModel.X64V3, CodeCacheSize = codeCacheSize, TranslationThreshold = threshold };
        options.TranslationCheck = check ?? options.TranslationCheck;
        Cpu = new VirtualCpu(0, Ram, Bus, clock ?? new StoppedClock(), options, logger ?? NullLogger.Instance);
    }

    public VirtualCpu Cpu { get; }

    public MachineBus Bus { get; }

    public GuestRam Ram { get; }

    public CpuState* State => Cpu.State;

    public ref ulong Rsp => ref State->Gpr[4];

    public ref ulong Rax => ref State->Gpr[0];

    public ushort Cs => State->Segments[(int)SegmentIndex.Cs].Selector;

    public ushort Ss => State->Segments[(int)SegmentIndex.Ss].Selector;

    /// <summary>64-bit mode at CPL 0.</summary>
    /// <param name="mapped">Bytes of RAM that are mapped one to one, by pages of 4 KiB.</param>
    /// <param name="hasHandlers">There is an IDT; without one an exception shuts the processor down.</param>
    public BareGuest Start64(ulong mapped = 2 << 20, bool hasHandlers = true)
    {
        _bitness = 64;
        for (ulong page = 0; page < mapped; page += GuestRam.PageSize)
        {
            Map(page, page);
        }

        WriteGdt();
        for (int vector = 0; vector < 256 && hasHandlers; vector++)
        {
            SetGate64(vector, Handlers + ((ulong)vector * 16));
            Poke(Handlers + ((ulong)vector * 16), Hlt);
        }

        // TSS: RSP0 at 4, IST1 at 36; no I/O bitmap.
        Poke(Tss + 4, Stack0);
        Poke(Tss + 36, Ist);
        Poke(Tss + 102, (ushort)104);
        StartStates.EnterLong64(State, Code, PageTables, Code64, Data0);
        StartStates.SetTables(State, Gdt, 0x7F, hasHandlers ? Idt : 0, (ushort)(hasHandlers ? 0xFFF : 0));
        State->Segments[(int)SegmentIndex.Tr] = new SegmentRegister { Base = Tss, Limit = 0x67, Selector = TssSelector, Attributes = 0x8B };
        Rsp = Stack;
        return this;
    }

    /// <summary>32-bit protected mode without paging at CPL 0.</summary>
    public BareGuest Start32()
    {
        _bitness = 32;
        WriteGdt();
        for (int vector = 0; vector < 256; vector++)
        {
            SetGate32(vector, (uint)(Handlers + ((ulong)vector * 16)));
            Poke(Handlers + ((ulong)vector * 16), Hlt);
        }

        Poke(Tss + 4, (uint)Stack0);
        Poke(Tss + 8, Data0);
        Poke(Tss + 102, (ushort)104);
        StartStates.EnterProtected32Flat(State, (uint)Code, Code32, Data0);
        StartStates.SetTables(State, Gdt, 0x7F, Idt, 0x7FF);
        State->Segments[(int)SegmentIndex.Tr] = new SegmentRegister { Base = Tss, Limit = 0x67, Selector = TssSelector, Attributes = 0x8B };
        Rsp = Stack;
        return this;
    }

    /// <summary>Real-address mode at 1000:0000, stack at 2000:8000, interrupt table at 0.</summary>
    public BareGuest Start16()
    {
        _bitness = 16;
        for (int vector = 0; vector < 256; vector++)
        {
            Poke((ulong)vector * 4, (uint)(0x6000 << 16) | (uint)(vector * 16));
            Poke(Handlers + ((ulong)vector * 16), Hlt);
        }

        StartStates.EnterReal16(State, 0x1000, 0);
        ref SegmentRegister ss = ref State->Segments[(int)SegmentIndex.Ss];
        (ss.Selector, ss.Base) = (0x2000, 0x20000);
        Rsp = 0x8000;
        return this;
    }

    /// <summary>Allows vector and x87 instructions, as a kernel does.</summary>
    public BareGuest EnableVectors()
    {
        State->Cr0 |= Cr0.MP | Cr0.NE;
        State->Cr4 |= Cr4.OSFXSR | Cr4.OSXMMEXCPT | Cr4.OSXSAVE;
        Mmu.UpdateMode(State);
        return this;
    }

    public static byte[] Assemble(Action<Assembler> code, ulong at = Code, int bitness = 64)
    {
        Assembler assembler = new(bitness);
        code(assembler);
        using MemoryStream stream = new();
        assembler.Assemble(new StreamCodeWriter(stream), at);
        return stream.ToArray();
    }

    /// <summary>Puts code at an address, of the current bitness if nothing is said.</summary>
    public BareGuest Load(Action<Assembler> code, ulong at = Code, int bitness = 0)
    {
        Write(at, Assemble(code, _bitness == 16 ? at - Code : at, bitness == 0 ? _bitness : bitness));
        return this;
    }

    /// <summary>Runs so many instructions from an address.</summary>
    public RunResult Run(long instructions, ulong from = Code)
    {
        State->Rip = from;
        return Cpu.Run(instructions);
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
        RunResult result = Cpu.Run(10_000);
        if (result != RunResult.Halted)
        {
            throw new InvalidOperationException($"The code was to halt and ended with {result} at 0x{State->Rip:X}.");
        }

        ulong linear = State->Rip + (_bitness == 16 ? State->Segments[(int)SegmentIndex.Cs].Base : 0);
        return linear is > Handlers and <= Handlers + 0x1000 ? (int)((linear - 1 - Handlers) / 16) : -1;
    }

    /// <summary>Interprets one instruction without delivering what it raises: the vector of its exception, or null.</summary>
    public byte? Step(Action<Assembler> code)
    {
        // Each program at its own place, so that no block is reused.
        ulong at = State->Rip is >= Code and < Data - 64 ? (State->Rip & ~31UL) + 32 : Code;
        Load(code, at);
        State->Rip = at;
        State->Hot.Remaining = 1;
        State->Engine->Exit = ExitCode.BlockEnd;
        ExitCode exit = InterpreterEngine.Step(State, Cpu.Blocks);
        return exit is ExitCode.Exception or ExitCode.ExceptionAtRip ? State->Engine->ExceptionVector : null;
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

    public void Poke<T>(ulong physical, T value) where T : unmanaged => Write(physical, new ReadOnlySpan<byte>(&value, sizeof(T)));

    public void Write(ulong physical, ReadOnlySpan<byte> bytes)
    {
        if (!Ram.TryWrite(new(physical), bytes))
        {
            throw new ArgumentOutOfRangeException(nameof(physical), $"There is no RAM for {bytes.Length} bytes at 0x{physical:X}.");
        }
    }

    public T Peek<T>(ulong physical) where T : unmanaged
    {
        T value;
        Read(physical, new Span<byte>(&value, sizeof(T)));
        return value;
    }

    /// <summary>All of the RAM that tests use.</summary>
    public byte[] ReadMemory()
    {
        byte[] bytes = new byte[2 << 20];
        Read(0, bytes);
        return bytes;
    }

    /// <summary>A value of the current 64-bit stack, counted in quadwords from its top.</summary>
    public ulong Frame(int index) => Peek<ulong>(Rsp + ((ulong)index * 8));

    public void Dispose()
    {
        Cpu.Dispose();
        Ram.Dispose();
    }

    private void Read(ulong physical, Span<byte> bytes)
    {
        if (!Ram.TryRead(new(physical), bytes))
        {
            throw new ArgumentOutOfRangeException(nameof(physical), $"There is no RAM for {bytes.Length} bytes at 0x{physical:X}.");
        }
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
