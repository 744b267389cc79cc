using System.Numerics;
using System.Runtime.Intrinsics;
using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;
using Uml.Core.Memory;

namespace Uml.Core.Cpu.Interpreter.Vex;

/// <summary>
/// VMASKMOVPS, VMASKMOVPD, VPMASKMOVD, VPMASKMOVQ: only elements whose mask element has its top bit set are accessed, and can fault.
/// </summary>
// SAFETY: handlers: the handler contract (Op). Bits of a mask number the elements of a local vector of the same length.
internal static unsafe class VexMaskedMoves<T>
    where T : unmanaged
{
    /// <summary>xmm, xmm, m128: R1 is the mask; elements that are not loaded become zero.</summary>
    public static Op* LoadXmm(CpuState* s, Op* op)
    {
        Vector128<T> result = default;
        if (!Load(s, op, VectorLanes.Lower<T>(s, op->R1).ExtractMostSignificantBits(), 16, (T*)&result))
        {
            return null;
        }

        VectorLanes.Write(s, op->R0, result);
        return op + 1;
    }

    /// <summary>ymm, ymm, m256.</summary>
    public static Op* LoadYmm(CpuState* s, Op* op)
    {
        Vector256<T> result = default;
        if (!Load(s, op, Operand.Reg<Vector256<T>>(s, op->R1).ExtractMostSignificantBits(), 32, (T*)&result))
        {
            return null;
        }

        CpuState.At<Vector256<T>>(s, op->R0) = result;
        return op + 1;
    }

    /// <summary>m128, xmm, xmm: R1 is the mask, R2 the data.</summary>
    public static Op* StoreXmm(CpuState* s, Op* op)
    {
        Vector128<T> data = VectorLanes.Lower<T>(s, op->R2);
        return Store(s, op, VectorLanes.Lower<T>(s, op->R1).ExtractMostSignificantBits(), 16, (T*)&data) ? op + 1 : null;
    }

    /// <summary>m256, ymm, ymm.</summary>
    public static Op* StoreYmm(CpuState* s, Op* op)
    {
        Vector256<T> data = Operand.Reg<Vector256<T>>(s, op->R2);
        return Store(s, op, Operand.Reg<Vector256<T>>(s, op->R1).ExtractMostSignificantBits(), 32, (T*)&data) ? op + 1 : null;
    }

    private static bool Load(CpuState* s, Op* op, uint mask, int size, T* result)
    {
        if (mask == 0)
        {
            return true;
        }

        if (!Operand.Linear(s, op, size, write: false, out ulong linear))
        {
            return false;
        }

        for (; mask != 0; mask &= mask - 1)
        {
            int i = BitOperations.TrailingZeroCount(mask);
            if (!VectorElements.Load(s, linear + (ulong)(i * sizeof(T)), op->Segment, out result[i]))
            {
                return false;
            }
        }

        return true;
    }

    private static bool Store(CpuState* s, Op* op, uint mask, int size, T* data)
    {
        if (mask == 0)
        {
            return true;
        }

        if (!Operand.Linear(s, op, size, write: true, out ulong linear))
        {
            return false;
        }

        // Every element is checked before the first is stored.
        for (uint bits = mask; bits != 0; bits &= bits - 1)
        {
            ulong address = linear + (ulong)(BitOperations.TrailingZeroCount(bits) * sizeof(T));
            if (!VectorElements.ProbeStore(s, address, sizeof(T), op->Segment))
            {
                ReportLastByte(s, linear, mask);
                return false;
            }
        }

        for (; mask != 0; mask &= mask - 1)
        {
            int i = BitOperations.TrailingZeroCount(mask);
            VectorElements.Store(s, linear + (ulong)(i * sizeof(T)), op->Segment, data[i]);
        }

        return true;
    }

    /// <summary>
    /// Which address CR2 holds when a store crosses into a page that faults is implementation-specific: on Intel's processors that of the
    /// last byte stored.
    /// </summary>
    private static void ReportLastByte(CpuState* s, ulong linear, uint mask)
    {
        ulong lowest = linear + (ulong)(BitOperations.TrailingZeroCount(mask) * sizeof(T));
        if (s->Engine->ExceptionVector == ExceptionVector.PF && Page.Base(s->Cr2) != Page.Base(Mmu.Wrap(s, lowest)))
        {
            s->Cr2 = Mmu.Wrap(s, linear + (ulong)((BitOperations.Log2(mask) + 1) * sizeof(T)) - 1);
        }
    }
}

/// <summary>
/// VGATHER.., VPGATHER..: loads an element for each index whose mask element has its top bit set, from the lowest element on. When one
/// faults, those before it are loaded and their mask elements are cleared, so that the restarted instruction continues there.
/// </summary>
/// <typeparam name="T">The elements loaded.</typeparam>
/// <typeparam name="TIndex">The indices: int or long.</typeparam>
// SAFETY: handlers: the handler contract (Op). Elements are numbered below the vector length, and clearing stops at 32 bytes, the size of a
// register's slot; indices of the guest's are added to the guest's address only.
internal static unsafe class GatherHandlers<T, TIndex>
    where T : unmanaged, IBinaryInteger<T>
    where TIndex : unmanaged, IBinaryInteger<TIndex>
{
    /// <summary>With a 128-bit vector length.</summary>
    public static Op* Xmm(CpuState* s, Op* op) => Gather(s, op, 16);

    /// <summary>With a 256-bit vector length.</summary>
    public static Op* Ymm(CpuState* s, Op* op) => Gather(s, op, 32);

    /// <summary>R0 is the destination, R1 the vector of indices, R2 the mask. The number of elements is that of the larger ones.</summary>
    private static Op* Gather(CpuState* s, Op* op, int length)
    {
        int count = length / Math.Max(sizeof(T), sizeof(TIndex));
        int end = count * sizeof(T);
        ExtendMask(s, op, length);
        for (int i = 0; i < count; i++)
        {
            ref T mask = ref CpuState.At<T>(s, op->R2 + (i * sizeof(T)));
            if (!T.IsZero(mask))
            {
                if (!Load(s, op, CpuState.At<TIndex>(s, op->R1 + (i * sizeof(TIndex))), out T value))
                {
                    return null;
                }

                CpuState.At<T>(s, op->R0 + (i * sizeof(T))) = value;
                if (end <= VectorLanes.UpperLane)
                {
                    CpuState.At<Vector128<byte>>(s, op->R0 + VectorLanes.UpperLane) = Vector128<byte>.Zero;
                }
            }

            mask = T.Zero;
        }

        // Zeroes the destination above the elements, and all of the mask.
        new Span<byte>((byte*)s + op->R0 + end, 32 - end).Clear();
        new Span<byte>((byte*)s + op->R2, 32).Clear();
        return op + 1;
    }

    /// <summary>Sign-extends each mask element up to the vector length, and clears the rest (Intel SDM vol. 2, VGATHERDPS).</summary>
    private static void ExtendMask(CpuState* s, Op* op, int length)
    {
        for (int i = 0; i < length; i += sizeof(T))
        {
            ref T mask = ref CpuState.At<T>(s, op->R2 + i);
            mask >>= (sizeof(T) * 8) - 1;
        }

        new Span<byte>((byte*)s + op->R2 + length, 32 - length).Clear();
    }

    private static bool Load(CpuState* s, Op* op, TIndex index, out T value)
    {
        ulong linear = Operand.Reg<ulong>(s, op->Base) + (ulong.CreateTruncating(index) << op->Scale) + (ulong)op->Disp;
        if (op->Address == AddressFlags.None || Segmentation.Adjust(s, op, sizeof(T), write: false, ref linear))
        {
            return VectorElements.Load(s, linear, op->Segment, out value);
        }

        value = default;
        return false;
    }
}
