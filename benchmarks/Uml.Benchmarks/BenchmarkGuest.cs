using Uml.Core.Cpu;
using Uml.Core.Cpu.Paging;

namespace Uml.Benchmarks;

/// <summary>The bare guest as benchmarks have it: more memory, tables as kernels have them, vector and x87 units on.</summary>
internal static unsafe class BenchmarkGuest
{
    public const ulong Data = 0x80_0000;

    /// <summary>How far from a page another is that has its place in the TLB; it is the same memory.</summary>
    public const ulong Alias = (ulong)Tlb.EntriesPerTable << 12;

    private const ulong Mapped = 32 << 20, RoomForTables = 1 << 20;

    /// <summary>Present, writable, user; accessed and dirty, which the emitted page walk counts on.</summary>
    private const ulong TableFlags = 0x67;

    /// <param name="engine">What runs the code.</param>
    /// <param name="threshold">Runs of a block in the interpreter before it is translated.</param>
    public static BareGuest Create(CpuEngine engine, int threshold = 16)
    {
        var guest = new BareGuest(engine, new CpuOptions().CodeCacheSize, threshold, Mapped + RoomForTables) { TableFlags = TableFlags };
        guest.Start64(Mapped).EnableVectors();
        guest.Poke(guest.EntryAddress(Alias, 30), guest.Peek<ulong>(guest.EntryAddress(0, 30)));
        return guest;
    }

    /// <summary>Runs from the start of the code. The processor also comes back after some number of exceptions.</summary>
    public static RunResult RunAll(this BareGuest guest, long instructions)
    {
        VirtualCpu cpu = guest.Cpu;
        ulong end = cpu.InstructionsRetired + (ulong)instructions;
        guest.Rsp = BareGuest.Stack;
        cpu.State->Halted = false;
        RunResult result = guest.Run(instructions);
        while (result == RunResult.BudgetExhausted && cpu.InstructionsRetired < end)
        {
            result = cpu.Run((long)(end - cpu.InstructionsRetired));
        }

        return result;
    }
}
