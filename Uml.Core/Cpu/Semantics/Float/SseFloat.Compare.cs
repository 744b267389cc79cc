using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Uml.Core.Cpu.Semantics.Float;

internal static partial class SseFloat
{
    /// <summary>EFLAGS bits that COMISS and relatives write; they clear OF, SF and AF (SDM vol. 2A, COMISS).</summary>
    private const uint ZeroFlag = 0x40;
    private const uint ParityFlag = 0x04;
    private const uint CarryFlag = 0x01;

    public static bool MinSs(uint left, uint right, ref uint mxcsr, out uint result) =>
        MinMax<MinimumOperation>(left, right, false, ref mxcsr, out result);

    public static bool MaxSs(uint left, uint right, ref uint mxcsr, out uint result) =>
        MinMax<MaximumOperation>(left, right, true, ref mxcsr, out result);

    public static bool MinSd(ulong left, ulong right, ref uint mxcsr, out ulong result) =>
        MinMax<MinimumOperation>(left, right, false, ref mxcsr, out result);

    public static bool MaxSd(ulong left, ulong right, ref uint mxcsr, out ulong result) =>
        MinMax<MaximumOperation>(left, right, true, ref mxcsr, out result);

    public static bool MinPs(Vector128<float> left, Vector128<float> right, ref uint mxcsr, out Vector128<float> result) =>
        PackedMinMax<MinimumOperation>(left, right, Vector128.LessThan(left, right), ref mxcsr, out result);

    public static bool MaxPs(Vector128<float> left, Vector128<float> right, ref uint mxcsr, out Vector128<float> result) =>
        PackedMinMax<MaximumOperation>(left, right, Vector128.GreaterThan(left, right), ref mxcsr, out result);

    public static bool MinPd(Vector128<double> left, Vector128<double> right, ref uint mxcsr, out Vector128<double> result) =>
        PackedMinMax<MinimumOperation>(left, right, Vector128.LessThan(left, right), ref mxcsr, out result);

    public static bool MaxPd(Vector128<double> left, Vector128<double> right, ref uint mxcsr, out Vector128<double> result) =>
        PackedMinMax<MaximumOperation>(left, right, Vector128.GreaterThan(left, right), ref mxcsr, out result);

    /// <summary>CMPSS with a predicate of 0 to 31, of which the legacy form has the first eight.</summary>
    /// <remarks>Without NaNs predicates that are the same in their low three bits are the same.</remarks>
    public static bool CmpSs(uint left, uint right, byte predicate, ref uint mxcsr, out uint result)
    {
        float a = BitConverter.UInt32BitsToSingle(left);
        float b = BitConverter.UInt32BitsToSingle(right);
        if (IsPlain(a) && IsPlain(b))
        {
            result = Format32.Mask(Holds(a, b, predicate));
            return true;
        }

        return ScalarSlow<CompareOperation, Format32, uint>(left, right, predicate, ref mxcsr, out result);
    }

    public static bool CmpSd(ulong left, ulong right, byte predicate, ref uint mxcsr, out ulong result)
    {
        double a = BitConverter.UInt64BitsToDouble(left);
        double b = BitConverter.UInt64BitsToDouble(right);
        if (IsPlain(a) && IsPlain(b))
        {
            result = Format64.Mask(Holds(a, b, predicate));
            return true;
        }

        return ScalarSlow<CompareOperation, Format64, ulong>(left, right, predicate, ref mxcsr, out result);
    }

    public static bool CmpPs(
        Vector128<float> left, Vector128<float> right, byte predicate, ref uint mxcsr, out Vector128<float> result)
    {
        if (AllTrue(Plain(left) & Plain(right)))
        {
            Vector128<float> positive = (predicate & 3) switch
            {
                0 => Vector128.Equals(left, right),
                1 => Vector128.LessThan(left, right),
                2 => Vector128.LessThanOrEqual(left, right),
                _ => Vector128<float>.Zero,
            };
            result = (predicate & 4) != 0 ? ~positive : positive;
            return true;
        }

        bool ok = PackedSlow<CompareOperation, Format32, uint>(
            left.AsUInt32(), right.AsUInt32(), predicate, ref mxcsr, out Vector128<uint> bits);
        result = bits.AsSingle();
        return ok;
    }

    public static bool CmpPd(
        Vector128<double> left, Vector128<double> right, byte predicate, ref uint mxcsr, out Vector128<double> result)
    {
        if (AllTrue(Plain(left) & Plain(right)))
        {
            Vector128<double> positive = (predicate & 3) switch
            {
                0 => Vector128.Equals(left, right),
                1 => Vector128.LessThan(left, right),
                2 => Vector128.LessThanOrEqual(left, right),
                _ => Vector128<double>.Zero,
            };
            result = (predicate & 4) != 0 ? ~positive : positive;
            return true;
        }

        bool ok = PackedSlow<CompareOperation, Format64, ulong>(
            left.AsUInt64(), right.AsUInt64(), predicate, ref mxcsr, out Vector128<ulong> bits);
        result = bits.AsDouble();
        return ok;
    }

    /// <summary>COMISS; <paramref name="flags"/> receives ZF, PF and CF at their EFLAGS positions.</summary>
    public static bool ComiSs(uint left, uint right, ref uint mxcsr, out uint flags) =>
        Comi(left, right, true, ref mxcsr, out flags);

    public static bool UcomiSs(uint left, uint right, ref uint mxcsr, out uint flags) =>
        Comi(left, right, false, ref mxcsr, out flags);

    public static bool ComiSd(ulong left, ulong right, ref uint mxcsr, out uint flags) =>
        Comi(left, right, true, ref mxcsr, out flags);

    public static bool UcomiSd(ulong left, ulong right, ref uint mxcsr, out uint flags) =>
        Comi(left, right, false, ref mxcsr, out flags);

    /// <summary>ZF, PF, CF encoding of a comparison (SDM vol. 2A, COMISS; the x87's FCOMI uses the same).</summary>
    internal static uint FlagsOf(FloatRelation relation) => relation switch
    {
        FloatRelation.Less => CarryFlag,
        FloatRelation.Equal => ZeroFlag,
        FloatRelation.Greater => 0,
        _ => ZeroFlag | ParityFlag | CarryFlag,
    };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool Comi(uint left, uint right, bool signaling, ref uint mxcsr, out uint flags)
    {
        float a = BitConverter.UInt32BitsToSingle(left);
        float b = BitConverter.UInt32BitsToSingle(right);
        if (IsPlain(a) && IsPlain(b))
        {
            flags = a < b ? CarryFlag : a == b ? ZeroFlag : 0;
            return true;
        }

        return ComiSlow<Format32, uint>(left, right, signaling, ref mxcsr, out flags);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool Comi(ulong left, ulong right, bool signaling, ref uint mxcsr, out uint flags)
    {
        double a = BitConverter.UInt64BitsToDouble(left);
        double b = BitConverter.UInt64BitsToDouble(right);
        if (IsPlain(a) && IsPlain(b))
        {
            flags = a < b ? CarryFlag : a == b ? ZeroFlag : 0;
            return true;
        }

        return ComiSlow<Format64, ulong>(left, right, signaling, ref mxcsr, out flags);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool ComiSlow<TFormat, TBits>(TBits left, TBits right, bool signaling, ref uint mxcsr, out uint flags)
        where TFormat : struct, ISseFormat<TBits>
        where TBits : unmanaged
    {
        FloatContext context = FloatContext.FromMxcsr(mxcsr);
        flags = FlagsOf(SoftFloat.Compare<TFormat, TBits>(left, right, signaling, ref context));
        return Commit(ref mxcsr, context.Flags);
    }

    private static bool Holds(double left, double right, int predicate)
    {
        bool positive = (predicate & 3) switch
        {
            0 => left == right,
            1 => left < right,
            2 => left <= right,
            _ => false,
        };
        return positive ^ ((predicate & 4) != 0);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool MinMax<TOperation>(uint left, uint right, bool maximum, ref uint mxcsr, out uint result)
        where TOperation : struct, ILaneOperation
    {
        float a = BitConverter.UInt32BitsToSingle(left);
        float b = BitConverter.UInt32BitsToSingle(right);
        if (IsPlain(a) && IsPlain(b))
        {
            result = (maximum ? a > b : a < b) ? left : right;
            return true;
        }

        return ScalarSlow<TOperation, Format32, uint>(left, right, 0, ref mxcsr, out result);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool MinMax<TOperation>(ulong left, ulong right, bool maximum, ref uint mxcsr, out ulong result)
        where TOperation : struct, ILaneOperation
    {
        double a = BitConverter.UInt64BitsToDouble(left);
        double b = BitConverter.UInt64BitsToDouble(right);
        if (IsPlain(a) && IsPlain(b))
        {
            result = (maximum ? a > b : a < b) ? left : right;
            return true;
        }

        return ScalarSlow<TOperation, Format64, ulong>(left, right, 0, ref mxcsr, out result);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool PackedMinMax<TOperation>(
        Vector128<float> left, Vector128<float> right, Vector128<float> takeLeft, ref uint mxcsr, out Vector128<float> result)
        where TOperation : struct, ILaneOperation
    {
        if (AllTrue(Plain(left) & Plain(right)))
        {
            result = Vector128.ConditionalSelect(takeLeft, left, right);
            return true;
        }

        bool ok = PackedSlow<TOperation, Format32, uint>(left.AsUInt32(), right.AsUInt32(), 0, ref mxcsr, out Vector128<uint> bits);
        result = bits.AsSingle();
        return ok;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool PackedMinMax<TOperation>(
        Vector128<double> left, Vector128<double> right, Vector128<double> takeLeft, ref uint mxcsr, out Vector128<double> result)
        where TOperation : struct, ILaneOperation
    {
        if (AllTrue(Plain(left) & Plain(right)))
        {
            result = Vector128.ConditionalSelect(takeLeft, left, right);
            return true;
        }

        bool ok = PackedSlow<TOperation, Format64, ulong>(left.AsUInt64(), right.AsUInt64(), 0, ref mxcsr, out Vector128<ulong> bits);
        result = bits.AsDouble();
        return ok;
    }
}
