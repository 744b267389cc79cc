using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Execute;

namespace Uml.Core.Cpu.Translate;

internal sealed unsafe partial class BlockTranslator
{
    /// <summary>FLDCW. A control word that unmasks an exception goes to the interpreter, and what follows with it.</summary>
    private void EmitLoadControlWord(int index)
    {
        ref Plan plan = ref _plans[index];
        EmitLinear(in plan);
        int cold = EmitProbe(index);
        // Guest memory is read once, and what goes to the host's unit has all exceptions masked whatever was there.
        _code.LoadZeroExtended16(GuestRegisters.Scratch, GuestRegisters.Address, 0);
        _code.Move(GuestRegisters.Address, GuestRegisters.Scratch, wide: false);
        _code.ArithmeticImmediate(Arithmetic.Or, GuestRegisters.Address, X87Images.Masks, wide: false);
        _code.ArithmeticRegister(Arithmetic.Cmp, GuestRegisters.Scratch, GuestRegisters.Address, wide: false);
        byte* unmasks = _code.JumpIf(Condition.Ne);
        _code.Store(GuestRegisters.State, StateLayout.Spill, GuestRegisters.Address);
        _code.Memory(0xD9, 5, GuestRegisters.State, StateLayout.Spill, wide: false);
        EndAccess(cold);
        AddHandlerFor(index, (nint)unmasks);
    }
}
