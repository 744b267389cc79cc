using Uml.Core.Cpu.Emit;

namespace Uml.Core.Cpu.Translate;

internal sealed unsafe partial class BlockTranslator
{
    /// <summary>FLDCW. A control word that unmasks an exception goes to the interpreter, and what follows with it.</summary>
    private void EmitLoadControlWord(int index)
    {
        const int masks = 0x3F;
        ref Plan plan = ref _plans[index];
        EmitLinear(in plan);
        int cold = EmitProbe(index);
        _code.LoadZeroExtended16(GuestRegisters.Scratch, GuestRegisters.Address, 0);
        _code.ArithmeticImmediate(Arithmetic.And, GuestRegisters.Scratch, masks, wide: false);
        _code.ArithmeticImmediate(Arithmetic.Cmp, GuestRegisters.Scratch, masks, wide: false);
        byte* unmasks = _code.JumpIf(Condition.Ne);
        _code.Memory(0xD9, 5, GuestRegisters.Address, 0, wide: false);
        EndAccess(cold);
        _handlers.Add(new ColdHandler { First = unmasks, Index = index, Remake = _remake, Done = _code.Position });
    }
}
