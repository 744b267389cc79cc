using Iced.Intel;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Semantics;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interpreter.Integer;

// SAFETY: op is the operation being decoded (IInstructionBinder). The width of T is that of the form's operands; Imm of direct jumps and
// calls is cleared, since Flow keeps a block there.
internal static unsafe partial class IntegerBinder
{
    public static Handler Bind(in Instruction i, Op* op, CpuMode mode) => i.Mnemonic switch
    {
        Mnemonic.Add => BindBinary<Add>(in i),
        Mnemonic.Adc => BindBinary<Adc>(in i),
        Mnemonic.Sub => BindBinary<Sub>(in i),
        Mnemonic.Sbb => BindBinary<Sbb>(in i),
        Mnemonic.Cmp => BindBinary<Cmp>(in i),
        Mnemonic.And => BindBinary<And>(in i),
        Mnemonic.Test => BindBinary<Test>(in i),
        Mnemonic.Or => BindBinary<Or>(in i),
        Mnemonic.Xor => BindBinary<Xor>(in i),
        Mnemonic.Inc => BindUnary<Inc>(in i),
        Mnemonic.Dec => BindUnary<Dec>(in i),
        Mnemonic.Neg => BindUnary<Neg>(in i),
        Mnemonic.Not => BindUnary<Not>(in i),
        Mnemonic.Shl or Mnemonic.Sal => BindShift<Shl>(in i),
        Mnemonic.Shr => BindShift<Shr>(in i),
        Mnemonic.Sar => BindShift<Sar>(in i),
        Mnemonic.Rol => BindShift<Rol>(in i),
        Mnemonic.Ror => BindShift<Ror>(in i),
        Mnemonic.Rcl => BindShift<Rcl>(in i),
        Mnemonic.Rcr => BindShift<Rcr>(in i),
        Mnemonic.Mul or Mnemonic.Imul or Mnemonic.Div or Mnemonic.Idiv => BindMultiply(in i),
        _ => BindMove(in i, op, mode),
    };

    /// <summary>Operand width in bytes of an instruction whose first operand is general.</summary>
    private static int WidthOf(in Instruction i) =>
        i.Op0Kind == OpKind.Register ? i.Op0Register.GetSize() : i.MemorySize.GetSize();

    private static bool IsMemory(in Instruction i) => i.Op0Kind == OpKind.Memory || i.Op1Kind == OpKind.Memory;

    private static Handler BindBinary<TOperation>(in Instruction i) where TOperation : struct, IBinaryOperation => WidthOf(in i) switch
    {
        1 => BindBinary<TOperation, byte>(in i),
        2 => BindBinary<TOperation, ushort>(in i),
        4 => BindBinary<TOperation, uint>(in i),
        _ => BindBinary<TOperation, ulong>(in i),
    };

    private static Handler BindBinary<TOperation, T>(in Instruction i)
        where TOperation : struct, IBinaryOperation
        where T : unmanaged
    {
        if (i.Op0Kind == OpKind.Memory)
        {
            return i.Op1Kind == OpKind.Register ? &BinaryHandlers<TOperation, T>.MemReg : &BinaryHandlers<TOperation, T>.MemImm;
        }

        return i.Op1Kind switch
        {
            OpKind.Register => &BinaryHandlers<TOperation, T>.RegReg,
            OpKind.Memory => &BinaryHandlers<TOperation, T>.RegMem,
            _ => &BinaryHandlers<TOperation, T>.RegImm,
        };
    }

    private static Handler BindUnary<TOperation>(in Instruction i) where TOperation : struct, IUnaryOperation
    {
        bool memory = i.Op0Kind == OpKind.Memory;
        return WidthOf(in i) switch
        {
            1 => memory ? &UnaryHandlers<TOperation, byte>.Mem : &UnaryHandlers<TOperation, byte>.Reg,
            2 => memory ? &UnaryHandlers<TOperation, ushort>.Mem : &UnaryHandlers<TOperation, ushort>.Reg,
            4 => memory ? &UnaryHandlers<TOperation, uint>.Mem : &UnaryHandlers<TOperation, uint>.Reg,
            _ => memory ? &UnaryHandlers<TOperation, ulong>.Mem : &UnaryHandlers<TOperation, ulong>.Reg,
        };
    }

    /// <summary>The forms by 1 have it as an immediate operand.</summary>
    private static Handler BindShift<TOperation>(in Instruction i) where TOperation : struct, IShiftOperation => WidthOf(in i) switch
    {
        1 => BindShift<TOperation, byte>(in i),
        2 => BindShift<TOperation, ushort>(in i),
        4 => BindShift<TOperation, uint>(in i),
        _ => BindShift<TOperation, ulong>(in i),
    };

    private static Handler BindShift<TOperation, T>(in Instruction i)
        where TOperation : struct, IShiftOperation
        where T : unmanaged
    {
        bool byCl = i.Op1Kind == OpKind.Register;
        return i.Op0Kind == OpKind.Memory
            ? byCl ? &ShiftHandlers<TOperation, T>.MemCl : &ShiftHandlers<TOperation, T>.MemImm
            : byCl ? &ShiftHandlers<TOperation, T>.RegCl : &ShiftHandlers<TOperation, T>.RegImm;
    }

    private static Handler BindMultiply(in Instruction i) => WidthOf(in i) switch
    {
        1 => BindMultiply<byte>(in i),
        2 => BindMultiply<ushort>(in i),
        4 => BindMultiply<uint>(in i),
        _ => BindMultiply<ulong>(in i),
    };

    private static Handler BindMultiply<T>(in Instruction i) where T : unmanaged
    {
        bool memory = i.Op0Kind == OpKind.Memory;
        switch (i.Mnemonic)
        {
            case Mnemonic.Mul: return memory ? &MultiplyHandlers<T>.MulMem : &MultiplyHandlers<T>.MulReg;
            case Mnemonic.Div: return memory ? &MultiplyHandlers<T>.DivMem : &MultiplyHandlers<T>.DivReg;
            case Mnemonic.Idiv: return memory ? &MultiplyHandlers<T>.IdivMem : &MultiplyHandlers<T>.IdivReg;
        }

        if (i.OpCount == 1)
        {
            return memory ? &MultiplyHandlers<T>.ImulMem : &MultiplyHandlers<T>.ImulReg;
        }

        bool source = i.Op1Kind == OpKind.Memory;
        return i.OpCount == 2
            ? source ? &MultiplyHandlers<T>.ImulRegMem : &MultiplyHandlers<T>.ImulRegReg
            : source ? &MultiplyHandlers<T>.ImulRegMemImm : &MultiplyHandlers<T>.ImulRegRegImm;
    }
}
