using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Semantics;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interpreter.Integer;

/// <summary>Operand forms whose destination, a register, is apart from the two sources.</summary>
// SAFETY: handlers: the handler contract (Op); nothing else is touched.
internal static unsafe class ThreeOperandHandlers<TOperation, T>
    where TOperation : struct, IBinaryOperation
    where T : unmanaged
{
    public static Op* RegRegReg(CpuState* s, Op* op) => Store(s, op, Operand.Get<T>(s, op->R1), Operand.Get<T>(s, op->R2));

    public static Op* RegRegMem(CpuState* s, Op* op) =>
        Operand.Load(s, op, out T b) ? Store(s, op, Operand.Get<T>(s, op->R1), Operand.Widen(b)) : null;

    public static Op* RegMemReg(CpuState* s, Op* op) =>
        Operand.Load(s, op, out T a) ? Store(s, op, Operand.Widen(a), Operand.Get<T>(s, op->R2)) : null;

    public static Op* RegRegImm(CpuState* s, Op* op) => Store(s, op, Operand.Get<T>(s, op->R1), (ulong)op->Imm);

    public static Op* RegMemImm(CpuState* s, Op* op) => Operand.Load(s, op, out T a) ? Store(s, op, Operand.Widen(a), (ulong)op->Imm) : null;

    private static Op* Store(CpuState* s, Op* op, ulong a, ulong b)
    {
        Operand.Set<T>(s, op->R0, TOperation.Apply<T>(s, a, b));
        return op + 1;
    }
}

/// <summary>Operand forms whose destination, a register, is apart from the one source.</summary>
internal static unsafe class TwoOperandHandlers<TOperation, T>
    where TOperation : struct, IUnaryOperation
    where T : unmanaged
{
    public static Op* RegReg(CpuState* s, Op* op) => Store(s, op, Operand.Get<T>(s, op->R1));

    public static Op* RegMem(CpuState* s, Op* op) => Operand.Load(s, op, out T a) ? Store(s, op, Operand.Widen(a)) : null;

    private static Op* Store(CpuState* s, Op* op, ulong a)
    {
        Operand.Set<T>(s, op->R0, TOperation.Apply<T>(s, a));
        return op + 1;
    }
}

/// <summary>MULX and MOVBE.</summary>
internal static unsafe class WideMoveHandlers<T>
    where T : unmanaged
{
    public static Op* MulxReg(CpuState* s, Op* op) => Multiply(s, op, Operand.Get<T>(s, op->R2));

    public static Op* MulxMem(CpuState* s, Op* op) => Operand.Load(s, op, out T b) ? Multiply(s, op, Operand.Widen(b)) : null;

    public static Op* MovbeRegMem(CpuState* s, Op* op)
    {
        if (!Operand.Load(s, op, out T value))
        {
            return null;
        }

        Operand.Set<T>(s, op->R0, BitManipulation.ReverseBytes<T>(Operand.Widen(value)));
        return op + 1;
    }

    public static Op* MovbeMemReg(CpuState* s, Op* op) =>
        Operand.Store(s, op, Operand.Narrow<T>(BitManipulation.ReverseBytes<T>(Operand.Get<T>(s, op->R1)))) ? op + 1 : null;

    /// <summary>rDX times the source; of a destination named twice the upper half stays (Intel SDM vol. 2, MULX).</summary>
    private static Op* Multiply(CpuState* s, Op* op, ulong b)
    {
        Wide product = MultiplyDivide.Multiply<T>(Operand.Get<T>(s, (ushort)CpuState.GprOffset(2)), b);
        Operand.Set<T>(s, op->R1, product.Low);
        Operand.Set<T>(s, op->R0, product.High);
        return op + 1;
    }
}
