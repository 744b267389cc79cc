using Uml.Core.Cpu.CodeCache;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Emit;
using Uml.Core.Memory;

namespace Uml.Core.Cpu.Translate;

/// <summary>Looks into the jump table: for the target of a computed jump, and for the epoch that links to other pages hold in.</summary>
/// <param name="code">Writes it.</param>
/// <param name="context">The block.</param>
internal sealed unsafe class JumpTableEmitter(HostAssembler code, BlockContext context)
{
    // SAFETY: pointers are positions in the block that is emitted. The index is masked, so that loads stay in the table.
    private const int Scratch = GuestRegisters.Scratch, Address = GuestRegisters.Address;

    /// <summary>Compares the address register with the table's entry for it, whose address goes to the scratch register.</summary>
    public void EmitLookup()
    {
        code.Multiply32(Scratch, Address, JumpTables.HashMultiplier);
        code.ShiftRight(Scratch, JumpTables.HashShift, wide: false);
        code.ArithmeticImmediate(Arithmetic.And, Scratch, JumpTables.IndexMask, wide: false);
        code.ArithmeticMemory(Arithmetic.Add, Scratch, GuestRegisters.State, StateLayout.JumpTable);
        code.ArithmeticMemory(Arithmetic.Cmp, Address, Scratch, JumpTables.RipOffset(context.Flavor));
    }

    /// <summary>Goes to the translation of the entry that was found.</summary>
    public void EmitEnterFound()
    {
        EmitNotePage(Address);
        code.JumpMemory(Scratch, JumpTables.CodeOffset(context.Flavor));
    }

    /// <summary>Makes the page of a target, which is lost, the one that runs.</summary>
    public void EmitNotePage(int target)
    {
        code.ArithmeticImmediate(Arithmetic.And, target, -GuestRam.PageSize);
        code.Store(GuestRegisters.State, StateLayout.PageRip, target);
    }

    /// <summary>Compares the epoch with a number that is not known yet.</summary>
    /// <param name="epoch">Where the number goes.</param>
    /// <returns>The jump taken in another epoch.</returns>
    public byte* EmitEpochCheck(out byte* epoch)
    {
        code.Load(Scratch, GuestRegisters.State, StateLayout.JumpTable);
        epoch = code.CompareMemoryLater(Scratch, JumpTables.EpochOffset);
        return code.JumpIf(Condition.Ne);
    }
}
