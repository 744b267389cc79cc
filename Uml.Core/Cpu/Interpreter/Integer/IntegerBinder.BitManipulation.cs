using Iced.Intel;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Semantics;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interpreter.Integer;

/// <summary>BMI1, BMI2, LZCNT, MOVBE, ADX, which only some CPU models have.</summary>
// SAFETY: as in IntegerBinder.cs.
internal static unsafe partial class IntegerBinder
{
    /// <summary>
    /// An instruction that the model lacks raises #UD and is not logged; TZCNT and LZCNT are BSF and BSR then (Intel SDM vol. 2, TZCNT,
    /// LZCNT: the prefix is ignored).
    /// </summary>
    public static Handler BindBitManipulation(in Instruction i, CpuMode mode, CpuFeatures features)
    {
        CpuFeatures needed = NeededBy(i.Mnemonic);
        if (needed == CpuFeatures.None)
        {
            return null;
        }

        if ((features & needed) == 0)
        {
            return i.Mnemonic is Mnemonic.Tzcnt or Mnemonic.Lzcnt ? BindScan(in i) : &Raise.Undefined;
        }

        // The VEX forms are for protected mode (Intel SDM vol. 2, 2.5, VEX encoding support for GPR instructions).
        if (i.Encoding == EncodingKind.VEX && (mode & (CpuMode.Protected | CpuMode.Virtual8086)) != CpuMode.Protected)
        {
            return &Raise.Undefined;
        }

        return i.Mnemonic switch
        {
            Mnemonic.Andn => BindThreeOperand<Andn>(in i),
            Mnemonic.Bextr => BindThreeOperand<Bextr>(in i),
            Mnemonic.Bzhi => BindThreeOperand<Bzhi>(in i),
            Mnemonic.Pdep => BindThreeOperand<Pdep>(in i),
            Mnemonic.Pext => BindThreeOperand<Pext>(in i),
            Mnemonic.Shlx => BindThreeOperand<Shlx>(in i),
            Mnemonic.Shrx => BindThreeOperand<Shrx>(in i),
            Mnemonic.Sarx => BindThreeOperand<Sarx>(in i),
            Mnemonic.Rorx => BindThreeOperand<Rorx>(in i),
            Mnemonic.Blsi => BindTwoOperand<Blsi>(in i),
            Mnemonic.Blsmsk => BindTwoOperand<Blsmsk>(in i),
            Mnemonic.Blsr => BindTwoOperand<Blsr>(in i),
            Mnemonic.Tzcnt => BindTwoOperand<Tzcnt>(in i),
            Mnemonic.Lzcnt => BindTwoOperand<Lzcnt>(in i),
            Mnemonic.Adcx => BindBinary<Adcx>(in i),
            Mnemonic.Adox => BindBinary<Adox>(in i),
            Mnemonic.Mulx => BindMulx(in i),
            _ => BindMovbe(in i),
        };
    }

    /// <summary>The instruction set that a mnemonic of this family belongs to; none when it is not of this family.</summary>
    public static CpuFeatures NeededBy(Mnemonic mnemonic) => mnemonic switch
    {
        Mnemonic.Andn or Mnemonic.Bextr or Mnemonic.Blsi or Mnemonic.Blsmsk or Mnemonic.Blsr or Mnemonic.Tzcnt => CpuFeatures.Bmi1,
        Mnemonic.Bzhi or Mnemonic.Mulx or Mnemonic.Pdep or Mnemonic.Pext or Mnemonic.Rorx or Mnemonic.Sarx or Mnemonic.Shlx
            or Mnemonic.Shrx => CpuFeatures.Bmi2,
        Mnemonic.Lzcnt => CpuFeatures.Lzcnt,
        Mnemonic.Movbe => CpuFeatures.Movbe,
        Mnemonic.Adcx or Mnemonic.Adox => CpuFeatures.Adx,
        _ => CpuFeatures.None,
    };

    private static Handler BindThreeOperand<TOperation>(in Instruction i) where TOperation : struct, IBinaryOperation =>
        i.Op0Register.GetSize() == 4 ? BindThreeOperand<TOperation, uint>(in i) : BindThreeOperand<TOperation, ulong>(in i);

    private static Handler BindThreeOperand<TOperation, T>(in Instruction i)
        where TOperation : struct, IBinaryOperation
        where T : unmanaged
    {
        bool memory = i.Op1Kind == OpKind.Memory;
        return i.Op2Kind switch
        {
            OpKind.Memory => &ThreeOperandHandlers<TOperation, T>.RegRegMem,
            OpKind.Register => memory ? &ThreeOperandHandlers<TOperation, T>.RegMemReg : &ThreeOperandHandlers<TOperation, T>.RegRegReg,
            _ => memory ? &ThreeOperandHandlers<TOperation, T>.RegMemImm : &ThreeOperandHandlers<TOperation, T>.RegRegImm,
        };
    }

    private static Handler BindTwoOperand<TOperation>(in Instruction i) where TOperation : struct, IUnaryOperation
    {
        bool memory = i.Op1Kind == OpKind.Memory;
        return i.Op0Register.GetSize() switch
        {
            2 => memory ? &TwoOperandHandlers<TOperation, ushort>.RegMem : &TwoOperandHandlers<TOperation, ushort>.RegReg,
            4 => memory ? &TwoOperandHandlers<TOperation, uint>.RegMem : &TwoOperandHandlers<TOperation, uint>.RegReg,
            _ => memory ? &TwoOperandHandlers<TOperation, ulong>.RegMem : &TwoOperandHandlers<TOperation, ulong>.RegReg,
        };
    }

    private static Handler BindMulx(in Instruction i)
    {
        bool memory = i.Op2Kind == OpKind.Memory;
        return i.Op0Register.GetSize() == 4
            ? memory ? &WideMoveHandlers<uint>.MulxMem : &WideMoveHandlers<uint>.MulxReg
            : memory ? &WideMoveHandlers<ulong>.MulxMem : &WideMoveHandlers<ulong>.MulxReg;
    }

    private static Handler BindMovbe(in Instruction i)
    {
        bool load = i.Op1Kind == OpKind.Memory;
        return WidthOf(in i) switch
        {
            2 => load ? &WideMoveHandlers<ushort>.MovbeRegMem : &WideMoveHandlers<ushort>.MovbeMemReg,
            4 => load ? &WideMoveHandlers<uint>.MovbeRegMem : &WideMoveHandlers<uint>.MovbeMemReg,
            _ => load ? &WideMoveHandlers<ulong>.MovbeRegMem : &WideMoveHandlers<ulong>.MovbeMemReg,
        };
    }
}
