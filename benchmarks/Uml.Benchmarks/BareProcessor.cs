using Iced.Intel;
using Microsoft.Extensions.Logging.Abstractions;
using Uml.Core.Bus;
using Uml.Core.Cpu;
using Uml.Core.Cpu.Control;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.Semantics.Float;
using Uml.Core.Memory;

namespace Uml.Benchmarks;

/// <summary>A processor in 64-bit mode with nothing around it but memory, mapped one to one by 4 KiB pages.</summary>
internal sealed unsafe class BareProcessor : IDisposable
{
    public const ulong Code = 0x10_0000, Data = 0x80_0000, Stack = 0xF_0000;

    /// <summary>How far from a page another is that has its place in the TLB; it is the same memory.</summary>
    public const ulong Alias = (ulong)Tlb.EntriesPerTable << 12;
    private const ulong Tables = 0x1000, Memory = 32 << 20, Idt = 0xA_0000, Gdt = 0xA_1000;

    /// <summary>Present, writable, user; accessed and dirty, as kernels have it in tables (the emitted page walk counts on that).</summary>
    private const ulong Table = 0x67;
    private const ushort CodeSelector = 8, DataSelector = 16;

    private readonly GuestRam _ram = new(Memory);

    /// <param name="engine">What runs the code.</param>
    /// <param name="threshold">Runs of a block in the interpreter before it is translated.</param>
    public BareProcessor(CpuEngine engine, int threshold = 16)
    {
        var bus = new MachineBus(_ram.Ranges);
        var options = new CpuOptions { Engine = engine, TranslationThreshold = threshold };
        Cpu = new VirtualCpu(0, _ram, bus, null!, options, NullLogger.Instance);
        Write(Tables, 0x2000 | Table);
        Write(0x2000, 0x3000 | Table);
        Write(0x2000 + (Alias >> 30 << 3), 0x3000 | Table);
        for (ulong page = 0; page < Memory >> 12; page++)
        {
            Write(0x3000 + (page / 512 * 8), (0x4000 + (page / 512 * 0x1000)) | Table);
            Write(0x4000 + (page * 8), (page << 12) | 7);
        }

        CpuReset.EnterLong64(Cpu.State, Code, Tables, CodeSelector, DataSelector);
        CpuReset.SetTables(Cpu.State, Gdt, 0x17, Idt, 0xFFF);

        // Vector and x87 units as a kernel leaves them to its programs.
        Cpu.State->Cr4 |= (1 << 9) | (1 << 10);
        Cpu.State->Mxcsr = 0x1F80;
        X87.Initialize(ref Cpu.State->X87);
        Mmu.UpdateMode(Cpu.State);
        Write(Gdt + CodeSelector, 0x00AF_9B00_0000_FFFF);
        Write(Gdt + DataSelector, 0x00CF_9300_0000_FFFF);
        Cpu.State->Gpr[4] = Stack;
    }

    public VirtualCpu Cpu { get; }

    public static byte[] Assemble(Action<Assembler> write, ulong address = Code)
    {
        Assembler assembler = new(64);
        write(assembler);
        using MemoryStream stream = new();
        assembler.Assemble(new StreamCodeWriter(stream), address);
        return stream.ToArray();
    }

    public void Load(Action<Assembler> write, ulong address = Code) => Load(Assemble(write, address), address);

    public void Load(byte[] code, ulong address = Code)
    {
        if (!_ram.TryWrite(new(address), code))
        {
            throw new ArgumentException("The code does not fit.", nameof(code));
        }
    }

    /// <summary>Makes a vector lead to an address.</summary>
    public void SetGate(int vector, ulong target)
    {
        ulong address = Idt + ((ulong)vector * 16);
        Write(address, (target & 0xFFFF) | ((ulong)CodeSelector << 16) | (0x8EUL << 40) | ((target & 0xFFFF_0000) << 32));
        Write(address + 8, target >> 32);
    }

    /// <summary>Runs from the start of the code. The processor also comes back after some number of exceptions.</summary>
    public RunResult Run(long instructions)
    {
        ulong end = Cpu.InstructionsRetired + (ulong)instructions;
        Cpu.State->Rip = Code;
        Cpu.State->Gpr[4] = Stack;
        Cpu.State->Halted = false;
        RunResult result;
        do
        {
            result = Cpu.Run((long)(end - Cpu.InstructionsRetired));
        }
        while (result == RunResult.BudgetExhausted && Cpu.InstructionsRetired < end);
        return result;
    }

    public void Dispose()
    {
        Cpu.Dispose();
        _ram.Dispose();
    }

    private void Write(ulong address, ulong value) => _ram.TryWrite(new(address), BitConverter.GetBytes(value));
}
