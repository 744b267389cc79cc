using Uml.Core.Cpu.Emit;
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
        _code.LoadZeroExtended16(GuestRegisters.Scratch, GuestRegisters.Address, 0);
        _code.ArithmeticImmediate(Arithmetic.And, GuestRegisters.Scratch, X87Images.Masks, wide: false);
        _code.ArithmeticImmediate(Arithmetic.Cmp, GuestRegisters.Scratch, X87Images.Masks, wide: false);
        byte* unmasks = _code.JumpIf(Condition.Ne);
        _code.Memory(0xD9, 5, GuestRegisters.Address, 0, wide: false);
        EndAccess(cold);
        AddHandlerFor(index, (nint)unmasks);
    }
}
