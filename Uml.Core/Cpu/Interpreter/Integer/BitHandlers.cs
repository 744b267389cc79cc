using System.Numerics;
using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interpreter.Integer;

/// <summary>What BT, BTS, BTR or BTC does to the bit after copying it to CF.</summary>
internal interface IBitOperation
{
    static abstract bool Writes { get; }

    static abstract ulong Apply(ulong value, ulong bit);
}

internal readonly struct BitTest : IBitOperation
{
    public static bool Writes => false;

    public static ulong Apply(ulong value, ulong bit) => value;
}

internal readonly struct BitSet : IBitOperation
{
    public static bool Writes => true;

    public static ulong Apply(ulong value, ulong bit) => value | bit;
}

internal readonly struct BitReset : IBitOperation
{
    public static bool Writes => true;

    public static ulong Apply(ulong value, ulong bit) => value & ~bit;
}

internal readonly struct BitComplement : IBitOperation
{
    public static bool Writes => true;

    public static ulong Apply(ulong value, ulong bit) => value ^ bit;
}

/// <summary>BT, BTS, BTR, BTC: CF is the bit; other flags stay (ZF) or are undefined and stay.</summary>
// SAFETY: handlers: the handler contract (Op). A bit offset of the guest's moves the guest's address (Disp of a copy of the operation), not
// one of the host; in a register it is masked.
internal static unsafe class BitTestHandlers<TOperation, T>
    where TOperation : struct, IBitOperation
    where T : unmanaged
{
    private static int Mask => (sizeof(T) * 8) - 1;

    public static Op* RegReg(CpuState* s, Op* op) => Reg(s, op, (int)Operand.Get<T>(s, op->R1) & Mask);

    public static Op* RegImm(CpuState* s, Op* op) => Reg(s, op, (int)op->Imm & Mask);

    public static Op* MemImm(CpuState* s, Op* op) => Mem(s, op, op, (int)op->Imm & Mask);

    /// <summary>A register bit offset is signed and reaches beyond the operand (Intel SDM vol. 2, 3.1.1.9).</summary>
    public static Op* MemReg(CpuState* s, Op* op)
    {
        long offset = (long)Flags.SignExtend<T>(Operand.Get<T>(s, op->R1));
        Op shifted = *op;
        shifted.Disp += (offset >> BitOperations.Log2((uint)sizeof(T) * 8)) * sizeof(T);
        return Mem(s, op, &shifted, (int)offset & Mask);
    }

    private static Op* Reg(CpuState* s, Op* op, int bit)
    {
        ulong value = Operand.Get<T>(s, op->R0);
        if (TOperation.Writes)
        {
            Operand.Set<T>(s, op->R0, TOperation.Apply(value, 1UL << bit));
        }

        Flags.SetCarry(s, ((value >> bit) & 1) != 0);
        return op + 1;
    }

    private static Op* Mem(CpuState* s, Op* op, Op* operand, int bit)
    {
        T value;
        if (TOperation.Writes)
        {
            if (!Operand.BeginUpdate(s, operand, out value, out T* host, out ulong linear))
            {
                return null;
            }

            Operand.EndUpdate(s, host, linear, Operand.Narrow<T>(TOperation.Apply(Operand.Widen(value), 1UL << bit)));
        }
        else if (!Operand.Load(s, operand, out value))
        {
            return null;
        }

        Flags.SetCarry(s, ((Operand.Widen(value) >> bit) & 1) != 0);
        return op + 1;
    }
}

/// <summary>BSF, BSR, POPCNT, BSWAP.</summary>
internal static unsafe class BitScanHandlers<T>
    where T : unmanaged
{
    public static Op* ForwardReg(CpuState* s, Op* op) => Scan(s, op, Operand.Get<T>(s, op->R1), forward: true);

    public static Op* ForwardMem(CpuState* s, Op* op) => Operand.Load(s, op, out T v) ? Scan(s, op, Operand.Widen(v), forward: true) : null;

    public static Op* ReverseReg(CpuState* s, Op* op) => Scan(s, op, Operand.Get<T>(s, op->R1), forward: false);

    public static Op* ReverseMem(CpuState* s, Op* op) => Operand.Load(s, op, out T v) ? Scan(s, op, Operand.Widen(v), forward: false) : null;

    public static Op* PopcntReg(CpuState* s, Op* op) => Count(s, op, Operand.Get<T>(s, op->R1));

    public static Op* PopcntMem(CpuState* s, Op* op) => Operand.Load(s, op, out T v) ? Count(s, op, Operand.Widen(v)) : null;

    public static Op* Bswap(CpuState* s, Op* op)
    {
        ulong value = Operand.Get<T>(s, op->R0);
        ulong r = sizeof(T) switch
        {
            8 => System.Buffers.Binary.BinaryPrimitives.ReverseEndianness(value),
            4 => System.Buffers.Binary.BinaryPrimitives.ReverseEndianness((uint)value),

            // Undefined for 16 bits; processors store zero.
            _ => 0,
        };
        Operand.Set<T>(s, op->R0, r);
        return op + 1;
    }

    /// <summary>ZF tells a zero source, whose destination stays as it was, upper half included (documented by AMD, relied on by Linux).</summary>
    private static Op* Scan(CpuState* s, Op* op, ulong value, bool forward)
    {
        if (value == 0)
        {
            Flags.SetStatus(s, (Flags.GetStatus(s) & ~Flags.Status) | Flags.ZF | Flags.PF);
        }
        else
        {
            int bit = forward ? BitOperations.TrailingZeroCount(value) : BitOperations.Log2(value);
            Operand.Set<T>(s, op->R0, (ulong)bit);

            // Only ZF is defined.
            Flags.SetStatus(s, (Flags.GetStatus(s) & ~Flags.Status) | ((BitOperations.PopCount((uint)bit) & 1) == 0 ? Flags.PF : 0));
        }

        return op + 1;
    }

    private static Op* Count(CpuState* s, Op* op, ulong value)
    {
        Operand.Set<T>(s, op->R0, (ulong)BitOperations.PopCount(value));
        Flags.SetStatus(s, value == 0 ? Flags.ZF : 0);
        return op + 1;
    }
}
