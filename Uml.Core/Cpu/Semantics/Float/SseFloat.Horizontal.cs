using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Uml.Core.Cpu.Semantics.Float;

internal static partial class SseFloat
{
    /// <summary>ADDSUBPS: even elements subtract, odd elements add.</summary>
    public static bool AddSubPs(Vector128<float> left, Vector128<float> right, ref uint mxcsr, out Vector128<float> result)
    {
        if (IsFastMode(mxcsr))
        {
            result = left + (right ^ Vector128.Create(-0f, 0, -0f, 0));
            if (AllTrue(Safe(result) & Plain(left) & Plain(right)))
            {
                return true;
            }
        }

        bool ok = AddSubSlow<Format32, uint>(left.AsUInt32(), right.AsUInt32(), ref mxcsr, out Vector128<uint> bits);
        result = bits.AsSingle();
        return ok;
    }

    /// <summary>ADDSUBPD: element 0 subtracts, element 1 adds.</summary>
    public static bool AddSubPd(Vector128<double> left, Vector128<double> right, ref uint mxcsr, out Vector128<double> result)
    {
        if (IsFastMode(mxcsr))
        {
            result = left + (right ^ Vector128.Create(-0.0, 0));
            if (AllTrue(Safe(result) & Plain(left) & Plain(right)))
            {
                return true;
            }
        }

        bool ok = AddSubSlow<Format64, ulong>(left.AsUInt64(), right.AsUInt64(), ref mxcsr, out Vector128<ulong> bits);
        result = bits.AsDouble();
        return ok;
    }

    /// <summary>HADDPS: sums of adjacent elements, of the destination in the low half and of the source in the high half.</summary>
    public static bool HaddPs(Vector128<float> left, Vector128<float> right, ref uint mxcsr, out Vector128<float> result) =>
        Packed<AddOperation>(EvenElements(left, right), OddElements(left, right), ref mxcsr, out result);

    public static bool HsubPs(Vector128<float> left, Vector128<float> right, ref uint mxcsr, out Vector128<float> result) =>
        Packed<SubtractOperation>(EvenElements(left, right), OddElements(left, right), ref mxcsr, out result);

    public static bool HaddPd(Vector128<double> left, Vector128<double> right, ref uint mxcsr, out Vector128<double> result) =>
        Packed<AddOperation>(LowElements(left, right), HighElements(left, right), ref mxcsr, out result);

    public static bool HsubPd(Vector128<double> left, Vector128<double> right, ref uint mxcsr, out Vector128<double> result) =>
        Packed<SubtractOperation>(LowElements(left, right), HighElements(left, right), ref mxcsr, out result);

    /// <summary>DPPS: the products that bits 7:4 select are summed pairwise and delivered where bits 3:0 say (SDM vol. 2A, DPPS).</summary>
    /// <remarks>Exceptions are those of the separate multiply and add instructions; an unmasked one of a step ends the instruction there.</remarks>
    public static bool DpPs(
        Vector128<float> left, Vector128<float> right, byte immediate, ref uint mxcsr, out Vector128<float> result)
    {
        result = default;
        if (!SelectedProducts(left, right, immediate, ref mxcsr, out Vector128<float> products)
            || !PairSums(products, ref mxcsr, out uint low, out uint high)
            || !AddSs(low, high, ref mxcsr, out uint sum))
        {
            return false;
        }

        result = Vector128.Create(sum).AsSingle() & SelectMask(immediate);
        return true;
    }

    /// <summary>VDPPS of both lanes, which take each step together.</summary>
    public static bool DpPs(
        Vector256<float> left, Vector256<float> right, byte immediate, ref uint mxcsr, out Vector256<float> result)
    {
        uint both = mxcsr;
        bool ok = DpPs(left.GetLower(), right.GetLower(), immediate, ref both, out Vector128<float> lower);
        if (DpPs(left.GetUpper(), right.GetUpper(), immediate, ref both, out Vector128<float> upper) && ok)
        {
            mxcsr = both;
            result = Vector256.Create(lower, upper);
            return true;
        }

        result = default;
        uint a = mxcsr & ~AllFlags;
        uint b = a;
        ok = SelectedProducts(left.GetLower(), right.GetLower(), immediate, ref a, out lower);
        ok &= SelectedProducts(left.GetUpper(), right.GetUpper(), immediate, ref b, out upper);
        mxcsr = CombineLanes(mxcsr, a, b);
        if (!ok)
        {
            return false;
        }

        a = b = mxcsr & ~AllFlags;
        ok = PairSums(lower, ref a, out uint low0, out uint high0);
        ok &= PairSums(upper, ref b, out uint low1, out uint high1);
        mxcsr = CombineLanes(mxcsr, a, b);
        if (!ok)
        {
            return false;
        }

        a = b = mxcsr & ~AllFlags;
        _ = AddSs(low0, high0, ref a, out _);
        _ = AddSs(low1, high1, ref b, out _);
        mxcsr = CombineLanes(mxcsr, a, b);
        return false;
    }

    private static bool SelectedProducts(
        Vector128<float> left, Vector128<float> right, byte immediate, ref uint mxcsr, out Vector128<float> products)
    {
        Vector128<float> select = SelectMask(immediate >> 4);
        bool ok = Packed<MultiplyOperation>(left & select, right & select, ref mxcsr, out products);

        // Unselected products are +0, whatever the sign of the zero that was multiplied.
        products &= select;
        return ok;
    }

    private static bool PairSums(Vector128<float> products, ref uint mxcsr, out uint low, out uint high)
    {
        Vector128<uint> p = products.AsUInt32();
        FloatContext context = FloatContext.FromMxcsr(mxcsr);
        low = SoftFloat.Add<Format32, uint>(p.GetElement(0), p.GetElement(1), ref context);
        high = SoftFloat.Add<Format32, uint>(p.GetElement(2), p.GetElement(3), ref context);
        return Commit(ref mxcsr, context.Flags);
    }

    /// <summary>DPPD: as DPPS on two elements; bits 5:4 select, bits 1:0 place.</summary>
    public static bool DpPd(
        Vector128<double> left, Vector128<double> right, byte immediate, ref uint mxcsr, out Vector128<double> result)
    {
        result = default;
        Vector128<double> select = SelectMask64(immediate >> 4);
        if (!Packed<MultiplyOperation>(left & select, right & select, ref mxcsr, out Vector128<double> products))
        {
            return false;
        }

        Vector128<ulong> p = (products & select).AsUInt64();
        if (!AddSd(p.GetElement(0), p.GetElement(1), ref mxcsr, out ulong sum))
        {
            return false;
        }

        result = Vector128.Create(sum).AsDouble() & SelectMask64(immediate);
        return true;
    }

    private static Vector128<float> SelectMask(int bits) => Vector128.Create(
        -(bits & 1), -((bits >> 1) & 1), -((bits >> 2) & 1), -((bits >> 3) & 1)).AsSingle();

    private static Vector128<double> SelectMask64(int bits) => Vector128.Create(-(long)(bits & 1), -(long)((bits >> 1) & 1)).AsDouble();

    private static Vector128<float> EvenElements(Vector128<float> left, Vector128<float> right) =>
        Vector128.Create(left.GetElement(0), left.GetElement(2), right.GetElement(0), right.GetElement(2));

    private static Vector128<float> OddElements(Vector128<float> left, Vector128<float> right) =>
        Vector128.Create(left.GetElement(1), left.GetElement(3), right.GetElement(1), right.GetElement(3));

    private static Vector128<double> LowElements(Vector128<double> left, Vector128<double> right) =>
        Vector128.Create(left.GetElement(0), right.GetElement(0));

    private static Vector128<double> HighElements(Vector128<double> left, Vector128<double> right) =>
        Vector128.Create(left.GetElement(1), right.GetElement(1));

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool AddSubSlow<TFormat, TBits>(
        Vector128<TBits> left, Vector128<TBits> right, ref uint mxcsr, out Vector128<TBits> result)
        where TFormat : struct, ISseFormat<TBits>
        where TBits : unmanaged
    {
        FloatContext context = FloatContext.FromMxcsr(mxcsr);
        result = default;
        for (int lane = 0; lane < Vector128<TBits>.Count; lane++)
        {
            TBits a = left.GetElement(lane);
            TBits b = right.GetElement(lane);
            TBits value = (lane & 1) == 0
                ? SoftFloat.Subtract<TFormat, TBits>(a, b, ref context)
                : SoftFloat.Add<TFormat, TBits>(a, b, ref context);
            result = result.WithElement(lane, value);
        }

        return Commit(ref mxcsr, context.Flags);
    }
}
