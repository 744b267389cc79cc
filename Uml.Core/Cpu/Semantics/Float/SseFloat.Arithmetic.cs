using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Uml.Core.Cpu.Semantics.Float;

internal static partial class SseFloat
{
    public static bool AddSs(uint left, uint right, ref uint mxcsr, out uint result) =>
        Scalar<AddOperation>(left, right, ref mxcsr, out result);

    public static bool AddSd(ulong left, ulong right, ref uint mxcsr, out ulong result) =>
        Scalar<AddOperation>(left, right, ref mxcsr, out result);

    public static bool AddPs(Vector128<float> left, Vector128<float> right, ref uint mxcsr, out Vector128<float> result) =>
        Packed<AddOperation>(left, right, ref mxcsr, out result);

    public static bool AddPd(Vector128<double> left, Vector128<double> right, ref uint mxcsr, out Vector128<double> result) =>
        Packed<AddOperation>(left, right, ref mxcsr, out result);

    public static bool SubSs(uint left, uint right, ref uint mxcsr, out uint result) =>
        Scalar<SubtractOperation>(left, right, ref mxcsr, out result);

    public static bool SubSd(ulong left, ulong right, ref uint mxcsr, out ulong result) =>
        Scalar<SubtractOperation>(left, right, ref mxcsr, out result);

    public static bool SubPs(Vector128<float> left, Vector128<float> right, ref uint mxcsr, out Vector128<float> result) =>
        Packed<SubtractOperation>(left, right, ref mxcsr, out result);

    public static bool SubPd(Vector128<double> left, Vector128<double> right, ref uint mxcsr, out Vector128<double> result) =>
        Packed<SubtractOperation>(left, right, ref mxcsr, out result);

    public static bool MulSs(uint left, uint right, ref uint mxcsr, out uint result) =>
        Scalar<MultiplyOperation>(left, right, ref mxcsr, out result);

    public static bool MulSd(ulong left, ulong right, ref uint mxcsr, out ulong result) =>
        Scalar<MultiplyOperation>(left, right, ref mxcsr, out result);

    public static bool MulPs(Vector128<float> left, Vector128<float> right, ref uint mxcsr, out Vector128<float> result) =>
        Packed<MultiplyOperation>(left, right, ref mxcsr, out result);

    public static bool MulPd(Vector128<double> left, Vector128<double> right, ref uint mxcsr, out Vector128<double> result) =>
        Packed<MultiplyOperation>(left, right, ref mxcsr, out result);

    public static bool DivSs(uint left, uint right, ref uint mxcsr, out uint result) =>
        Scalar<DivideOperation>(left, right, ref mxcsr, out result);

    public static bool DivSd(ulong left, ulong right, ref uint mxcsr, out ulong result) =>
        Scalar<DivideOperation>(left, right, ref mxcsr, out result);

    public static bool DivPs(Vector128<float> left, Vector128<float> right, ref uint mxcsr, out Vector128<float> result) =>
        Packed<DivideOperation>(left, right, ref mxcsr, out result);

    public static bool DivPd(Vector128<double> left, Vector128<double> right, ref uint mxcsr, out Vector128<double> result) =>
        Packed<DivideOperation>(left, right, ref mxcsr, out result);

    public static bool SqrtSs(uint source, ref uint mxcsr, out uint result) =>
        Scalar<SquareRootOperation>(source, source, ref mxcsr, out result);

    public static bool SqrtSd(ulong source, ref uint mxcsr, out ulong result) =>
        Scalar<SquareRootOperation>(source, source, ref mxcsr, out result);

    public static bool SqrtPs(Vector128<float> source, ref uint mxcsr, out Vector128<float> result) =>
        Packed<SquareRootOperation>(source, source, ref mxcsr, out result);

    public static bool SqrtPd(Vector128<double> source, ref uint mxcsr, out Vector128<double> result) =>
        Packed<SquareRootOperation>(source, source, ref mxcsr, out result);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool Scalar<TOperation>(uint left, uint right, ref uint mxcsr, out uint result)
        where TOperation : struct, IHostOperation
    {
        if (IsFastMode(mxcsr))
        {
            float a = BitConverter.UInt32BitsToSingle(left);
            float b = BitConverter.UInt32BitsToSingle(right);
            float value = TOperation.Host(a, b);
            if ((IsSafe(value) && IsNormal(a) && IsNormal(b))
                || (IsPlain(a) && IsPlain(b) && (IsSafe(value) || (value == 0 && TOperation.IsZeroExact(a, b)))))
            {
                result = BitConverter.SingleToUInt32Bits(value);
                return true;
            }
        }

        return ScalarSlow<TOperation, Format32, uint>(left, right, 0, ref mxcsr, out result);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool Scalar<TOperation>(ulong left, ulong right, ref uint mxcsr, out ulong result)
        where TOperation : struct, IHostOperation
    {
        if (IsFastMode(mxcsr))
        {
            double a = BitConverter.UInt64BitsToDouble(left);
            double b = BitConverter.UInt64BitsToDouble(right);
            double value = TOperation.Host(a, b);
            if ((IsSafe(value) && IsNormal(a) && IsNormal(b))
                || (IsPlain(a) && IsPlain(b) && (IsSafe(value) || (value == 0 && TOperation.IsZeroExact(a, b)))))
            {
                result = BitConverter.DoubleToUInt64Bits(value);
                return true;
            }
        }

        return ScalarSlow<TOperation, Format64, ulong>(left, right, 0, ref mxcsr, out result);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool Packed<TOperation>(
        Vector128<float> left, Vector128<float> right, ref uint mxcsr, out Vector128<float> result)
        where TOperation : struct, IHostOperation
    {
        if (IsFastMode(mxcsr))
        {
            result = TOperation.Host(left, right);
            if (AllTrue(Safe(result) & Plain(left) & Plain(right)))
            {
                return true;
            }
        }

        return PackedLanes32<TOperation>(left, right, ref mxcsr, out result);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool Packed<TOperation>(
        Vector128<double> left, Vector128<double> right, ref uint mxcsr, out Vector128<double> result)
        where TOperation : struct, IHostOperation
    {
        if (IsFastMode(mxcsr))
        {
            result = TOperation.Host(left, right);
            if (AllTrue(Safe(result) & Plain(left) & Plain(right)))
            {
                return true;
            }
        }

        return PackedLanes64<TOperation>(left, right, ref mxcsr, out result);
    }

    /// <summary>
    /// Vectors with zeros among the results have a fast path as well; others are computed element by element, each with its own fast path.
    /// </summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool PackedLanes32<TOperation>(
        Vector128<float> left, Vector128<float> right, ref uint mxcsr, out Vector128<float> result)
        where TOperation : struct, IHostOperation
    {
        if (IsFastMode(mxcsr))
        {
            result = TOperation.Host(left, right);
            Vector128<float> exactZero = Vector128.Equals(result, Vector128<float>.Zero) & TOperation.IsZeroExact(left, right);
            if (AllTrue((Safe(result) | exactZero) & Plain(left) & Plain(right)))
            {
                return true;
            }
        }

        if ((mxcsr & AllMasks) == AllMasks)
        {
            Vector128<uint> a = left.AsUInt32();
            Vector128<uint> b = right.AsUInt32();
            Scalar<TOperation>(a.GetElement(0), b.GetElement(0), ref mxcsr, out uint r0);
            Scalar<TOperation>(a.GetElement(1), b.GetElement(1), ref mxcsr, out uint r1);
            Scalar<TOperation>(a.GetElement(2), b.GetElement(2), ref mxcsr, out uint r2);
            Scalar<TOperation>(a.GetElement(3), b.GetElement(3), ref mxcsr, out uint r3);
            result = Vector128.Create(r0, r1, r2, r3).AsSingle();
            return true;
        }

        bool ok = PackedSlow<TOperation, Format32, uint>(left.AsUInt32(), right.AsUInt32(), 0, ref mxcsr, out Vector128<uint> bits);
        result = bits.AsSingle();
        return ok;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool PackedLanes64<TOperation>(
        Vector128<double> left, Vector128<double> right, ref uint mxcsr, out Vector128<double> result)
        where TOperation : struct, IHostOperation
    {
        if (IsFastMode(mxcsr))
        {
            result = TOperation.Host(left, right);
            Vector128<double> exactZero = Vector128.Equals(result, Vector128<double>.Zero) & TOperation.IsZeroExact(left, right);
            if (AllTrue((Safe(result) | exactZero) & Plain(left) & Plain(right)))
            {
                return true;
            }
        }

        if ((mxcsr & AllMasks) == AllMasks)
        {
            Vector128<ulong> a = left.AsUInt64();
            Vector128<ulong> b = right.AsUInt64();
            Scalar<TOperation>(a.GetElement(0), b.GetElement(0), ref mxcsr, out ulong r0);
            Scalar<TOperation>(a.GetElement(1), b.GetElement(1), ref mxcsr, out ulong r1);
            result = Vector128.Create(r0, r1).AsDouble();
            return true;
        }

        bool ok = PackedSlow<TOperation, Format64, ulong>(left.AsUInt64(), right.AsUInt64(), 0, ref mxcsr, out Vector128<ulong> bits);
        result = bits.AsDouble();
        return ok;
    }
}
