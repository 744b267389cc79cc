using System.Runtime.CompilerServices;
using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Semantics;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interpreter.Integer;

/// <summary>MUL, IMUL, DIV, IDIV.</summary>
// SAFETY: handlers: the handler contract (Op). Implicit operands by constant offsets, AH for the upper half of a byte product.
internal static unsafe class MultiplyHandlers<T>
    where T : unmanaged
{
    public static Op* MulReg(CpuState* s, Op* op) => Multiply(s, op, Operand.Get<T>(s, op->R0), signed: false);

    public static Op* MulMem(CpuState* s, Op* op) => Operand.Load(s, op, out T b) ? Multiply(s, op, Operand.Widen(b), signed: false) : null;

    public static Op* ImulReg(CpuState* s, Op* op) => Multiply(s, op, Operand.Get<T>(s, op->R0), signed: true);

    public static Op* ImulMem(CpuState* s, Op* op) => Operand.Load(s, op, out T b) ? Multiply(s, op, Operand.Widen(b), signed: true) : null;

    public static Op* ImulRegReg(CpuState* s, Op* op) => Truncated(s, op, Operand.Get<T>(s, op->R0), Operand.Get<T>(s, op->R1));

    public static Op* ImulRegMem(CpuState* s, Op* op) =>
        Operand.Load(s, op, out T b) ? Truncated(s, op, Operand.Get<T>(s, op->R0), Operand.Widen(b)) : null;

    public static Op* ImulRegRegImm(CpuState* s, Op* op) => Truncated(s, op, Operand.Get<T>(s, op->R1), (ulong)op->Imm);

    public static Op* ImulRegMemImm(CpuState* s, Op* op) =>
        Operand.Load(s, op, out T a) ? Truncated(s, op, Operand.Widen(a), (ulong)op->Imm) : null;

    public static Op* DivReg(CpuState* s, Op* op) => Divide(s, op, Operand.Get<T>(s, op->R0), signed: false);

    public static Op* DivMem(CpuState* s, Op* op) => Operand.Load(s, op, out T b) ? Divide(s, op, Operand.Widen(b), signed: false) : null;

    public static Op* IdivReg(CpuState* s, Op* op) => Divide(s, op, Operand.Get<T>(s, op->R0), signed: true);

    public static Op* IdivMem(CpuState* s, Op* op) => Operand.Load(s, op, out T b) ? Divide(s, op, Operand.Widen(b), signed: true) : null;

    private static Op* Multiply(CpuState* s, Op* op, ulong b, bool signed)
    {
        ulong a = Operand.Get<T>(s, CpuState.GprStart);
        Wide product = signed ? MultiplyDivide.MultiplySigned<T>(a, b) : MultiplyDivide.Multiply<T>(a, b);
        Store(s, product.Low, product.High);
        MultiplyDivide.SetFlags<T>(s, product.Low, signed ? product.High != SignFill(product.Low) : product.High != 0);
        return op + 1;
    }

    private static Op* Truncated(CpuState* s, Op* op, ulong a, ulong b)
    {
        Wide product = MultiplyDivide.MultiplySigned<T>(a, b);
        Operand.Set<T>(s, op->R0, product.Low);
        MultiplyDivide.SetFlags<T>(s, product.Low, product.High != SignFill(product.Low));
        return op + 1;
    }

    private static ulong SignFill(ulong low)
    {
        ulong fill = (ulong)((long)Flags.SignExtend<T>(low) >> 63);
        return sizeof(T) == 8 ? fill : fill & ((1UL << (sizeof(T) * 8)) - 1);
    }

    private static Op* Divide(CpuState* s, Op* op, ulong divisor, bool signed)
    {
        ulong low = Operand.Get<T>(s, CpuState.GprStart);
        ulong high = sizeof(T) == 1 ? Operand.Get<byte>(s, CpuState.GprStart + 1) : Operand.Get<T>(s, (ushort)CpuState.GprOffset(2));
        if (!MultiplyDivide.Divide<T>(high, low, divisor, signed, out ulong quotient, out ulong remainder))
        {
            return Raise.Exception(s, ExceptionVector.DE);
        }

        Store(s, quotient, remainder);
        return op + 1;
    }

    /// <summary>Low half to AL/AX/EAX/RAX, high half to AH/DX/EDX/RDX.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(CpuState* s, ulong low, ulong high)
    {
        Operand.Set<T>(s, CpuState.GprStart, low);
        Operand.Set<T>(s, (ushort)(sizeof(T) == 1 ? CpuState.GprStart + 1 : CpuState.GprOffset(2)), high);
    }
}
