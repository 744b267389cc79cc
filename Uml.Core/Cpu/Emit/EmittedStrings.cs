using System.Numerics;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.State;
using Uml.Core.Memory;

namespace Uml.Core.Cpu.Emit;

/// <summary>
/// Emits REP MOVS and REP STOS of up to a page with addresses as wide as the mode's, by the host's own, where all of it is plain memory in
/// one page of each side. In every other case, a TLB miss included, nothing is done, and the handler runs.
/// </summary>
/// <remarks>
/// Called with the guest's registers in the host's. Out: ZF set and the instruction is done, or ZF clear and nothing changed. The scratch and
/// the address register are destroyed. These are functions, not part of translations, because no other emitted code uses a guest's register
/// as an address: that none does is what the checker of translations looks at.
/// </remarks>
internal sealed unsafe class EmittedStrings(HostAssembler code, TlbProbe probe)
{
    // SAFETY: pointers are positions in the assembler's memory, and only taken to bind jumps.
    private const int Scratch = GuestRegisters.Scratch, Address = GuestRegisters.Address;

    private readonly List<nint> _failures = [];

    /// <param name="moves">REP MOVS; REP STOS otherwise.</param>
    /// <param name="size">Of an element: 1, 2, 4 or 8 bytes.</param>
    /// <param name="isLong">Addresses have 64 bits; 32 otherwise.</param>
    /// <returns>The first byte.</returns>
    public byte* Emit(bool moves, int size, bool isLong)
    {
        int scale = BitOperations.Log2((uint)size);
        _failures.Clear();
        code.Align(16);
        byte* start = code.Position;
        code.HideReturnAddress();
        EmitChecks(moves, scale);

        code.Move(Address, HostRegister.Rdi, isLong);
        _failures.Add((nint)probe.Emit(OperandUse.Write, 1, aligned: false));
        if (moves)
        {
            code.Store(GuestRegisters.State, StateLayout.Spill, Address);
            code.Move(Address, HostRegister.Rsi, isLong);
            _failures.Add((nint)probe.Emit(OperandUse.Read, 1, aligned: false));
            code.Store(GuestRegisters.State, StateLayout.SecondSpill, HostRegister.Rsi);
            code.Move(HostRegister.Rsi, Address);
            code.Load(Address, GuestRegisters.State, StateLayout.Spill);
        }

        code.Move(Scratch, HostRegister.Rdi);
        code.Move(HostRegister.Rdi, Address);
        code.LoadAddressWithoutBase(Address, HostRegister.Rcx, scale, 0);
        EmitCount();
        if (moves)
        {
            code.RepeatMove(size);
        }
        else
        {
            code.RepeatStore(size);
        }

        code.LoadAddress(HostRegister.Rdi, Scratch, Address, 0, 0, isLong);
        if (moves)
        {
            code.Load(HostRegister.Rsi, GuestRegisters.State, StateLayout.SecondSpill);
            code.LoadAddress(HostRegister.Rsi, HostRegister.Rsi, Address, 0, 0, isLong);
        }

        code.SetZeroFlag(true);
        code.ReturnToHidden();
        foreach (nint failure in _failures)
        {
            code.Bind((byte*)failure);
        }

        code.SetZeroFlag(false);
        code.ReturnToHidden();
        return start;
    }

    /// <summary>Upwards, no more than a page and what is left of the slice, and in one page on each side.</summary>
    private void EmitChecks(bool moves, int scale)
    {
        code.ArithmeticImmediate(Arithmetic.Cmp, HostRegister.Rcx, GuestRam.PageSize);
        FailIf(Condition.A);
        code.ArithmeticMemory(Arithmetic.Cmp, HostRegister.Rcx, GuestRegisters.State, StateLayout.Remaining);
        FailIf(Condition.G);
        code.TestMemoryByte(GuestRegisters.State, StateLayout.SystemFlags + 1, (int)(Flags.DF >> 8));
        FailIf(Condition.Ne);

        // The first and the last byte are in one page when no bit above its offset differs. Without any byte there is nothing to do.
        EmitSpan(Scratch, HostRegister.Rdi, scale);
        if (moves)
        {
            EmitSpan(Address, HostRegister.Rsi, scale);
            code.ArithmeticRegister(Arithmetic.Or, Scratch, Address);
        }

        code.ArithmeticImmediate(Arithmetic.Cmp, Scratch, GuestRam.PageSize);
        FailIf(Condition.Ae);
    }

    /// <summary>Each repetition is an instruction of the budget (see <c>Repetitions</c>); the block has counted one.</summary>
    private void EmitCount()
    {
        code.ArithmeticToMemory(Arithmetic.Sub, GuestRegisters.State, StateLayout.Remaining, HostRegister.Rcx);
        code.ArithmeticImmediate(Arithmetic.Cmp, HostRegister.Rcx, 1);
        code.ArithmeticMemoryImmediate(Arithmetic.Sbb, GuestRegisters.State, StateLayout.Remaining, -1);
    }

    /// <summary>The bits in which the address of the first and of the last byte differ.</summary>
    private void EmitSpan(int result, int pointer, int scale)
    {
        code.LoadAddress(result, pointer, HostRegister.Rcx, scale, -1);
        code.ArithmeticRegister(Arithmetic.Xor, result, pointer);
    }

    private void FailIf(int condition) => _failures.Add((nint)code.JumpIf(condition));
}
