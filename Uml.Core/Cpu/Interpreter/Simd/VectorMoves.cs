using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interpreter.Simd;

/// <summary>Instructions that move data between XMM registers, general registers and memory unchanged.</summary>
// SAFETY: handlers: the handler contract (Op). Element masks the immediate, so an element lies within its register; HighHalf is within the
// 16 bytes of an XMM register.
internal static unsafe class VectorMoves
{
    private const int HighHalf = 8;

    /// <summary>MOVAPS and the like, xmm, xmm.</summary>
    public static Op* Register(CpuState* s, Op* op)
    {
        CpuState.At<Vector128<byte>>(s, op->R0) = Operand.Reg<Vector128<byte>>(s, op->R1);
        return op + 1;
    }

    /// <summary>MOVUPS, MOVDQU, LDDQU xmm, m128.</summary>
    public static Op* LoadUnaligned(CpuState* s, Op* op)
    {
        if (!Operand.Load(s, op, out Vector128<byte> value))
        {
            return null;
        }

        CpuState.At<Vector128<byte>>(s, op->R0) = value;
        return op + 1;
    }

    /// <summary>MOVAPS, MOVDQA, MOVNTDQA xmm, m128.</summary>
    public static Op* LoadAligned(CpuState* s, Op* op)
    {
        if (!Operand.LoadAligned(s, op, out Vector128<byte> value))
        {
            return null;
        }

        CpuState.At<Vector128<byte>>(s, op->R0) = value;
        return op + 1;
    }

    /// <summary>MOVUPS, MOVDQU m128, xmm.</summary>
    public static Op* StoreUnaligned(CpuState* s, Op* op) =>
        Operand.Store(s, op, Operand.Reg<Vector128<byte>>(s, op->R1)) ? op + 1 : null;

    /// <summary>MOVAPS, MOVDQA, MOVNTDQ, MOVNTPS, MOVNTPD m128, xmm.</summary>
    public static Op* StoreAligned(CpuState* s, Op* op) =>
        Operand.StoreAligned(s, op, Operand.Reg<Vector128<byte>>(s, op->R1)) ? op + 1 : null;

    /// <summary>MOVSS, MOVSD xmm, xmm: only the lowest element changes.</summary>
    public static Op* MergeLow<T>(CpuState* s, Op* op)
        where T : unmanaged
    {
        CpuState.At<T>(s, op->R0) = Operand.Reg<T>(s, op->R1);
        return op + 1;
    }

    /// <summary>MOVHLPS: high half of the source to the low half.</summary>
    public static Op* HighToLow(CpuState* s, Op* op)
    {
        CpuState.At<ulong>(s, op->R0) = CpuState.At<ulong>(s, op->R1 + HighHalf);
        return op + 1;
    }

    /// <summary>MOVLHPS: low half of the source to the high half.</summary>
    public static Op* LowToHigh(CpuState* s, Op* op)
    {
        CpuState.At<ulong>(s, op->R0 + HighHalf) = CpuState.At<ulong>(s, op->R1);
        return op + 1;
    }

    /// <summary>MOVSS, MOVSD, MOVD, MOVQ xmm, m: the rest of the register is cleared.</summary>
    public static Op* LoadScalar<T>(CpuState* s, Op* op)
        where T : unmanaged
    {
        if (!Operand.Load(s, op, out T value))
        {
            return null;
        }

        CpuState.At<Vector128<T>>(s, op->R0) = Vector128.CreateScalar(value);
        return op + 1;
    }

    /// <summary>MOVD, MOVQ xmm, r or xmm: the rest of the register is cleared.</summary>
    public static Op* FromScalar<T>(CpuState* s, Op* op)
        where T : unmanaged
    {
        CpuState.At<Vector128<T>>(s, op->R0) = Vector128.CreateScalar(Operand.Reg<T>(s, op->R1));
        return op + 1;
    }

    /// <summary>MOVD, MOVQ r, xmm.</summary>
    public static Op* ToGeneral<T>(CpuState* s, Op* op)
        where T : unmanaged
    {
        Operand.SetReg(s, op->R0, Operand.Reg<T>(s, op->R1));
        return op + 1;
    }

    /// <summary>MOVSS, MOVSD, MOVD, MOVQ, MOVLPS m, xmm; MOVNTI m, r.</summary>
    public static Op* StoreScalar<T>(CpuState* s, Op* op)
        where T : unmanaged => Operand.Store(s, op, Operand.Reg<T>(s, op->R1)) ? op + 1 : null;

    /// <summary>MOVLPS, MOVLPD xmm, m64: the high half stays.</summary>
    public static Op* LoadLow(CpuState* s, Op* op)
    {
        if (!Operand.Load(s, op, out ulong value))
        {
            return null;
        }

        CpuState.At<ulong>(s, op->R0) = value;
        return op + 1;
    }

    /// <summary>MOVHPS, MOVHPD xmm, m64: the low half stays.</summary>
    public static Op* LoadHigh(CpuState* s, Op* op)
    {
        if (!Operand.Load(s, op, out ulong value))
        {
            return null;
        }

        CpuState.At<ulong>(s, op->R0 + HighHalf) = value;
        return op + 1;
    }

    /// <summary>MOVHPS, MOVHPD m64, xmm.</summary>
    public static Op* StoreHigh(CpuState* s, Op* op) =>
        Operand.Store(s, op, CpuState.At<ulong>(s, op->R1 + HighHalf)) ? op + 1 : null;

    /// <summary>MOVDQ2Q mm, xmm.</summary>
    public static Op* ToMmx(CpuState* s, Op* op)
    {
        if (Enablement.IsX87ErrorPending(s))
        {
            return Enablement.RaiseX87Error(s);
        }

        Mmx.Write(s, op->R0, Operand.Reg<ulong>(s, op->R1));
        return op + 1;
    }

    /// <summary>PMOVMSKB, MOVMSKPS, MOVMSKPD r, xmm: the sign of each element.</summary>
    public static Op* MoveMask<T>(CpuState* s, Op* op)
        where T : unmanaged
    {
        Operand.SetReg<ulong>(s, op->R0, Operand.Reg<Vector128<T>>(s, op->R1).ExtractMostSignificantBits());
        return op + 1;
    }

    /// <summary>PEXTRB, PEXTRW, PEXTRD, PEXTRQ, EXTRACTPS r, xmm, imm8: zero-extended.</summary>
    public static Op* Extract<T>(CpuState* s, Op* op)
        where T : unmanaged, IBinaryInteger<T>
    {
        Operand.SetReg(s, op->R0, Operand.Widen(Operand.Reg<T>(s, Element<T>(op->R1, op))));
        return op + 1;
    }

    /// <summary>PEXTRB, PEXTRW, PEXTRD, PEXTRQ, EXTRACTPS m, xmm, imm8.</summary>
    public static Op* ExtractToMemory<T>(CpuState* s, Op* op)
        where T : unmanaged => Operand.Store(s, op, Operand.Reg<T>(s, Element<T>(op->R1, op))) ? op + 1 : null;

    /// <summary>PINSRB, PINSRW, PINSRD, PINSRQ xmm, r, imm8.</summary>
    public static Op* Insert<T>(CpuState* s, Op* op)
        where T : unmanaged
    {
        CpuState.At<T>(s, Element<T>(op->R0, op)) = Operand.Reg<T>(s, op->R1);
        return op + 1;
    }

    /// <summary>PINSRB, PINSRW, PINSRD, PINSRQ xmm, m, imm8.</summary>
    public static Op* InsertFromMemory<T>(CpuState* s, Op* op)
        where T : unmanaged
    {
        if (!Operand.Load(s, op, out T value))
        {
            return null;
        }

        CpuState.At<T>(s, Element<T>(op->R0, op)) = value;
        return op + 1;
    }

    /// <summary>MASKMOVDQU xmm, xmm.</summary>
    public static Op* MaskedStore(CpuState* s, Op* op) =>
        StoreMasked(s, op, Operand.Reg<Vector128<byte>>(s, op->R1), Operand.Reg<Vector128<byte>>(s, op->R2), 16) ? op + 1 : null;

    /// <summary>Stores the bytes whose mask byte has its top bit set at the memory operand, which has to be writable as a whole.</summary>
    public static bool StoreMasked(CpuState* s, Op* op, Vector128<byte> data, Vector128<byte> mask, int size)
    {
        if (!Operand.Linear(s, op, size, write: true, out ulong linear))
        {
            return false;
        }

        if (!Mmu.IsCanonical(s, linear) || !Mmu.IsCanonical(s, linear + (uint)size - 1))
        {
            return Fault.Fail(s, op->Segment == SegmentIndex.Ss ? ExceptionVector.SS : ExceptionVector.GP, 0);
        }

        // Whether a page is checked to which no byte is written is implementation-specific (Intel SDM vol. 2B, MASKMOVQ); processors check
        // the whole operand. Intel's check the upper half of 16 bytes first, as CR2 shows. The alignment of 16 bytes is not checked.
        bool canStore = size == 16
            ? VectorElements.ProbeStore(s, linear + 8, 8, op->Segment) && VectorElements.ProbeStore(s, linear, 8, op->Segment)
            : Mmu.ProbeWrite(s, linear, size, op->Segment);
        if (!canStore)
        {
            return false;
        }

        uint bits = mask.ExtractMostSignificantBits();
        for (; bits != 0; bits &= bits - 1)
        {
            int i = BitOperations.TrailingZeroCount(bits);
            if (!Operand.StoreAt(s, Mmu.Wrap(s, linear + (uint)i), op->Segment, data.GetElement(i)))
            {
                return false;
            }
        }

        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ushort Element<T>(ushort register, Op* op)
        where T : unmanaged => (ushort)(register + ((int)(op->Imm & ((16 / sizeof(T)) - 1)) * sizeof(T)));
}
