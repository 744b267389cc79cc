using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Semantics.Simd;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interpreter.Vex;

/// <summary>
/// VEX instructions that move data unchanged. Those that write no vector register share the handlers of the legacy forms.
/// </summary>
// SAFETY: handlers: the handler contract (Op); an element's number in the immediate is masked, and all sixteen registers are reached from
// VectorsOffset.
internal static unsafe class VexMoves
{
    private const int HighHalf = 8;

    /// <summary>VMOVAPS and the like, xmm, xmm or unaligned m128.</summary>
    public static Op* Xmm<TSource>(CpuState* s, Op* op)
        where TSource : struct, IVexSource
    {
        if (!TSource.Load(s, op, out Vector128<byte> value))
        {
            return null;
        }

        VectorLanes.Write(s, op->R0, value);
        return op + 1;
    }

    /// <summary>VMOVAPS and the like, ymm, ymm or unaligned m256.</summary>
    public static Op* Ymm<TSource>(CpuState* s, Op* op)
        where TSource : struct, IVexSource
    {
        if (!TSource.Load(s, op, out Vector256<byte> value))
        {
            return null;
        }

        CpuState.At<Vector256<byte>>(s, op->R0) = value;
        return op + 1;
    }

    /// <summary>VMOVAPS, VMOVAPD, VMOVDQA, VMOVNTDQA xmm, m128.</summary>
    public static Op* LoadAlignedXmm(CpuState* s, Op* op)
    {
        if (!Operand.LoadAligned(s, op, out Vector128<byte> value))
        {
            return null;
        }

        VectorLanes.Write(s, op->R0, value);
        return op + 1;
    }

    /// <summary>VMOVAPS, VMOVAPD, VMOVDQA, VMOVNTDQA ymm, m256.</summary>
    public static Op* LoadAlignedYmm(CpuState* s, Op* op)
    {
        if (!IsAligned(s, op, write: false, out ulong linear) || !Operand.LoadAt(s, linear, op->Segment, out Vector256<byte> value))
        {
            return null;
        }

        CpuState.At<Vector256<byte>>(s, op->R0) = value;
        return op + 1;
    }

    /// <summary>VMOVUPS, VMOVUPD, VMOVDQU m256, ymm.</summary>
    public static Op* StoreYmm(CpuState* s, Op* op) => Operand.Store(s, op, Operand.Reg<Vector256<byte>>(s, op->R1)) ? op + 1 : null;

    /// <summary>VMOVAPS, VMOVAPD, VMOVDQA, VMOVNTDQ, VMOVNTPS, VMOVNTPD m256, ymm.</summary>
    public static Op* StoreAlignedYmm(CpuState* s, Op* op) =>
        IsAligned(s, op, write: true, out ulong linear) && Operand.StoreAt(s, linear, op->Segment, Operand.Reg<Vector256<byte>>(s, op->R1))
            ? op + 1
            : null;

    /// <summary>VMOVSS, VMOVSD, VMOVD, VMOVQ xmm, r, xmm or m: the rest of the register is cleared.</summary>
    public static Op* Scalar<TSource, T>(CpuState* s, Op* op)
        where TSource : struct, IVexSource
        where T : unmanaged
    {
        if (!TSource.Load(s, op, out T value))
        {
            return null;
        }

        VectorLanes.Write(s, op->R0, Vector128.CreateScalar(value));
        return op + 1;
    }

    /// <summary>VMOVSS, VMOVSD xmm, xmm, xmm: the lowest element of the second source, the others of the first.</summary>
    public static Op* MergeLow<T>(CpuState* s, Op* op)
        where T : unmanaged
    {
        VectorLanes.Write(s, op->R0, VectorLanes.Lower<T>(s, op->R1).WithElement(0, Operand.Reg<T>(s, op->R2)));
        return op + 1;
    }

    /// <summary>VMOVHLPS.</summary>
    public static Op* HighToLow(CpuState* s, Op* op)
    {
        VectorLanes.Write(s, op->R0, Vector128.Create(VectorLanes.Lower<ulong>(s, op->R2).GetUpper(), VectorLanes.Lower<ulong>(s, op->R1).GetUpper()));
        return op + 1;
    }

    /// <summary>VMOVLPS, VMOVLPD xmm, xmm, m64.</summary>
    public static Op* LoadLow(CpuState* s, Op* op)
    {
        if (!Operand.Load(s, op, out ulong value))
        {
            return null;
        }

        VectorLanes.Write(s, op->R0, VectorLanes.Lower<ulong>(s, op->R1).WithElement(0, value));
        return op + 1;
    }

    /// <summary>VMOVHPS, VMOVHPD xmm, xmm, m64; VMOVLHPS.</summary>
    public static Op* High<TSource>(CpuState* s, Op* op)
        where TSource : struct, IVexSource
    {
        if (!TSource.Load(s, op, out ulong value))
        {
            return null;
        }

        VectorLanes.Write(s, op->R0, VectorLanes.Lower<ulong>(s, op->R1).WithElement(1, value));
        return op + 1;
    }

    /// <summary>VPMOVMSKB, VMOVMSKPS, VMOVMSKPD r, ymm.</summary>
    public static Op* MoveMask<T>(CpuState* s, Op* op)
        where T : unmanaged
    {
        Operand.SetReg<ulong>(s, op->R0, Operand.Reg<Vector256<T>>(s, op->R1).ExtractMostSignificantBits());
        return op + 1;
    }

    /// <summary>VPINSRB, VPINSRW, VPINSRD, VPINSRQ xmm, xmm, r or m, imm8.</summary>
    public static Op* Insert<TSource, T>(CpuState* s, Op* op)
        where TSource : struct, IVexSource
        where T : unmanaged
    {
        if (!TSource.Load(s, op, out T value))
        {
            return null;
        }

        VectorLanes.Write(s, op->R0, VectorLanes.Lower<T>(s, op->R1).WithElement((int)(op->Imm & (Vector128<T>.Count - 1)), value));
        return op + 1;
    }

    /// <summary>VINSERTPS xmm, xmm, m32, imm8: the immediate's source field is ignored.</summary>
    public static Op* InsertSingleMemory(CpuState* s, Op* op)
    {
        if (!Operand.Load(s, op, out uint source))
        {
            return null;
        }

        Vector128<byte> value = Vector128.CreateScalar(source).AsByte();
        VectorLanes.Write(s, op->R0, InsertSingle.Apply(VectorLanes.Lower<byte>(s, op->R1), value, (byte)(op->Imm & 0x3F)));
        return op + 1;
    }

    /// <summary>VINSERTF128, VINSERTI128.</summary>
    public static Op* InsertLane<TSource>(CpuState* s, Op* op)
        where TSource : struct, IVexSource
    {
        if (!TSource.Load(s, op, out Vector128<byte> value))
        {
            return null;
        }

        bool upper = (op->Imm & 1) != 0;
        VectorLanes.Write(s, op->R0, upper ? VectorLanes.Lower<byte>(s, op->R1) : value, upper ? value : VectorLanes.Upper<byte>(s, op->R1));
        return op + 1;
    }

    /// <summary>VEXTRACTF128, VEXTRACTI128 xmm, ymm, imm8.</summary>
    public static Op* ExtractLane(CpuState* s, Op* op)
    {
        VectorLanes.Write(s, op->R0, Lane(s, op));
        return op + 1;
    }

    /// <summary>VEXTRACTF128, VEXTRACTI128 m128, ymm, imm8.</summary>
    public static Op* ExtractLaneToMemory(CpuState* s, Op* op) => Operand.Store(s, op, Lane(s, op)) ? op + 1 : null;

    /// <summary>VBROADCASTSS, VPBROADCASTB, VPBROADCASTW, VPBROADCASTD, VPBROADCASTQ to an XMM register.</summary>
    public static Op* BroadcastXmm<TSource, T>(CpuState* s, Op* op)
        where TSource : struct, IVexSource
        where T : unmanaged
    {
        if (!TSource.Load(s, op, out T value))
        {
            return null;
        }

        VectorLanes.Write(s, op->R0, Vector128.Create(value));
        return op + 1;
    }

    /// <summary>The same, VBROADCASTSD, VBROADCASTF128 and VBROADCASTI128 to a YMM register.</summary>
    public static Op* BroadcastYmm<TSource, T>(CpuState* s, Op* op)
        where TSource : struct, IVexSource
        where T : unmanaged
    {
        if (!TSource.Load(s, op, out T value))
        {
            return null;
        }

        Vector128<byte> lane = sizeof(T) == 16 ? *(Vector128<byte>*)&value : Vector128.Create(value).AsByte();
        VectorLanes.Write(s, op->R0, lane, lane);
        return op + 1;
    }

    /// <summary>VZEROUPPER: outside 64-bit mode the upper eight registers are left alone.</summary>
    public static Op* ZeroUpper(CpuState* s, Op* op)
    {
        for (int i = 0; i < RegisterCount(s); i++)
        {
            CpuState.At<Vector128<byte>>(s, CpuState.VectorsOffset + (32 * i) + VectorLanes.UpperLane) = default;
        }

        return op + 1;
    }

    /// <summary>VZEROALL.</summary>
    public static Op* ZeroAll(CpuState* s, Op* op)
    {
        for (int i = 0; i < RegisterCount(s); i++)
        {
            CpuState.At<Vector256<byte>>(s, CpuState.VectorsOffset + (32 * i)) = default;
        }

        return op + 1;
    }

    private static int RegisterCount(CpuState* s) => (s->Mode & CpuMode.Long64) != 0 ? 16 : 8;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<byte> Lane(CpuState* s, Op* op) => (op->Imm & 1) != 0 ? VectorLanes.Upper<byte>(s, op->R1) : VectorLanes.Lower<byte>(s, op->R1);

    private static bool IsAligned(CpuState* s, Op* op, bool write, out ulong linear) =>
        Operand.Linear(s, op, 32, write, out linear) && ((linear & 31) == 0 || Fault.FailGP(s));
}

/// <summary>VPTEST, VTESTPS, VTESTPD; <typeparamref name="T"/> is the element whose top bit counts, or byte for all bits.</summary>
internal static unsafe class VexTestHandlers<T>
    where T : unmanaged
{
    /// <summary>xmm, xmm or m128.</summary>
    public static Op* Xmm<TSource>(CpuState* s, Op* op)
        where TSource : struct, IVexSource
    {
        if (!TSource.Load(s, op, out Vector128<byte> source))
        {
            return null;
        }

        Vector128<byte> destination = VectorLanes.Lower<byte>(s, op->R0);
        return Finish(s, op, Reduce(source & destination), Reduce(Vector128.AndNot(source, destination)));
    }

    /// <summary>ymm, ymm or m256.</summary>
    public static Op* Ymm<TSource>(CpuState* s, Op* op)
        where TSource : struct, IVexSource
    {
        if (!TSource.Load(s, op, out Vector256<byte> source))
        {
            return null;
        }

        Vector256<byte> destination = Operand.Reg<Vector256<byte>>(s, op->R0);
        Vector256<byte> both = source & destination;
        Vector256<byte> only = Vector256.AndNot(source, destination);
        return Finish(s, op, Reduce(both.GetLower() | both.GetUpper()), Reduce(only.GetLower() | only.GetUpper()));
    }

    private static bool Reduce(Vector128<byte> value) =>
        sizeof(T) == 1 ? value == default : value.As<byte, T>().ExtractMostSignificantBits() == 0;

    private static Op* Finish(CpuState* s, Op* op, bool zero, bool carry)
    {
        Flags.SetStatus(s, (zero ? Flags.ZF : 0) | (carry ? Flags.CF : 0));
        return op + 1;
    }
}
