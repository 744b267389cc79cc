using Iced.Intel;
using Microsoft.Extensions.Logging.Abstractions;
using Uml.Core.Bus;
using Uml.Core.Cpu.Control;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;
using Uml.Core.Cpu;
using Uml.Core.Memory;

namespace Uml.Core.Tests.Cpu.Engine;

/// <summary>A bare processor in 64-bit mode whose first 2 MiB are mapped by 4 KiB pages that a test may change.</summary>
internal sealed unsafe class EngineMachine : IDisposable
{
    public const ulong Code = 0x10000, Data = 0x20000, StackTop = 0x30000;
    private const ulong PageTables = 0x1000, PageTable = 0x4000;

    private readonly GuestRam _ram = new(16 << 20);

    /// <param name="engine">Translates everything at once when it translates.</param>
    /// <param name="codeCacheSize">Bytes.</param>
    public EngineMachine(CpuEngine engine = CpuEngine.Interpreter, ulong codeCacheSize = 64 << 20)
    {
        Bus = new MachineBus(_ram.Ranges);
        Cpu = new VirtualCpu(0, _ram, Bus, null!, new CpuOptions { Engine = engine, CodeCacheSize = codeCacheSize, TranslationThreshold = 0 }, NullLogger.Instance);
        Poke(PageTables, 0x2000 | 7UL);
        Poke(0x2000, 0x3000 | 7UL);
        Poke(0x3000, PageTable | 7UL);
        for (ulong page = 0; page < 512; page++)
        {
            Map(page << 12, page << 12);
        }

        CpuState* s = Cpu.State;
        CpuReset.EnterLong64(s, Code, PageTables, cs: 0x10, ds: 0x18);
        s->Gpr[4] = StackTop;
    }

    public VirtualCpu Cpu { get; }

    public MachineBus Bus { get; }

    public CpuState* State => Cpu.State;

    public ulong Rax => State->Gpr[0];

    public static byte[] Assemble(Action<Assembler> code, ulong at = Code)
    {
        Assembler assembler = new(64);
        code(assembler);
        using MemoryStream stream = new();
        assembler.Assemble(new StreamCodeWriter(stream), at);
        return stream.ToArray();
    }

    public int Load(Action<Assembler> code, ulong at = Code)
    {
        byte[] bytes = Assemble(code, at);
        Assert.That(_ram.TryWrite(new(at), bytes));
        return bytes.Length;
    }

    /// <summary>Runs whole instructions from the start of the code.</summary>
    public RunResult Run(long instructions, ulong from = Code)
    {
        State->Rip = from;
        return Cpu.Run(instructions);
    }

    public void Map(ulong linear, ulong physical, ulong flags = 7)
    {
        Poke(PageTable + ((linear >> 12) * 8), physical | flags);
        Mmu.InvalidatePage(State, linear);
    }

    public ulong PageEntry(ulong linear) => Peek<ulong>(PageTable + ((linear >> 12) * 8));

    public void Poke<T>(ulong physical, T value) where T : unmanaged =>
        Assert.That(_ram.TryWrite(new(physical), new ReadOnlySpan<byte>(&value, sizeof(T))));

    public T Peek<T>(ulong physical) where T : unmanaged
    {
        T value;
        Assert.That(_ram.TryRead(new(physical), new Span<byte>(&value, sizeof(T))));
        return value;
    }

    public void Dispose()
    {
        Cpu.Dispose();
        _ram.Dispose();
    }
}
