using System.Runtime.Intrinsics.X86;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Paging;
using Uml.Core.Memory;

namespace Uml.Core.Cpu.Emit;

/// <summary>
/// Emits a TLB lookup: replaces the linear address in the address register by the host address of the operand. The scratch register and flags
/// are destroyed.
/// </summary>
/// <param name="code">Writes it.</param>
internal sealed unsafe class TlbProbe(HostAssembler code)
{
    // SAFETY: pointers are positions in the assembler's memory, and only taken to bind jumps.
    private readonly bool _hasRotateTo = Bmi2.IsSupported;

    /// <summary>
    /// The distance of the address from the entry's tag is the offset in the page when it is the right page, and too large when it is not,
    /// or when the operand runs over the page's end.
    /// </summary>
    /// <param name="use">What the operand is used for.</param>
    /// <param name="size">Its bytes, or those of a range with several operands.</param>
    /// <param name="aligned">Its address has to be a multiple of the size.</param>
    /// <returns>The jump taken when there is no translation; <see cref="Restore"/> undoes what was done to the address.</returns>
    public byte* Emit(OperandUse use, int size, bool aligned)
    {
        if (_hasRotateTo)
        {
            code.RotateRightTo32(GuestRegisters.Scratch, GuestRegisters.Address, Tlb.IndexShift);
        }
        else
        {
            code.Move(GuestRegisters.Scratch, GuestRegisters.Address);
            code.ShiftRight(GuestRegisters.Scratch, Tlb.IndexShift);
        }

        code.ArithmeticImmediate(Arithmetic.And, GuestRegisters.Scratch, Tlb.IndexMask, wide: false);
        EmitEntry(Arithmetic.Sub, TagOffset(use));
        byte* jump;
        if (aligned)
        {
            // Also wrong when not aligned: only bits log2(size) to 11 may be set.
            code.TestImmediate(GuestRegisters.Address, ~(GuestRam.PageSize - size));
            jump = code.JumpIf(Condition.Ne);
        }
        else
        {
            code.ArithmeticImmediate(Arithmetic.Cmp, GuestRegisters.Address, GuestRam.PageSize - size);
            jump = code.JumpIf(Condition.A);
        }

        EmitEntry(Arithmetic.Add, TlbEntry.HostPageOffset);
        return jump;
    }

    /// <summary>Where the jump was taken: makes the address what it was.</summary>
    public void Restore(OperandUse use) => EmitEntry(Arithmetic.Add, TagOffset(use));

    /// <summary>Arithmetic of the address register with a field of the entry whose offset is in the scratch register.</summary>
    private void EmitEntry(int operation, int field) =>
        code.ArithmeticMemory(operation, GuestRegisters.Address, GuestRegisters.Tlb, GuestRegisters.Scratch, field);

    private static int TagOffset(OperandUse use) => use == OperandUse.Read ? TlbEntry.ReadTagOffset : TlbEntry.WriteTagOffset;
}
