using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Uml.Core.Cpu.Semantics.Float;

/// <summary>An operation on one pair of elements, in any format.</summary>
internal interface ILaneOperation
{
    static abstract TBits Apply<TFormat, TBits>(TBits left, TBits right, int immediate, ref FloatContext context)
        where TFormat : struct, ISseFormat<TBits>
        where TBits : unmanaged;
}

/// <summary>An operation that the host computes identically on normal numbers when rounding to nearest.</summary>
internal interface IHostOperation : ILaneOperation
{
    static abstract float Host(float left, float right);

    static abstract double Host(double left, double right);

    static abstract Vector128<float> Host(Vector128<float> left, Vector128<float> right);

    static abstract Vector128<double> Host(Vector128<double> left, Vector128<double> right);

    /// <summary>Given operands that are zero or normal, whether a zero result is exact.</summary>
    static abstract bool IsZeroExact(double left, double right);

    static abstract Vector128<float> IsZeroExact(Vector128<float> left, Vector128<float> right);

    static abstract Vector128<double> IsZeroExact(Vector128<double> left, Vector128<double> right);
}

internal readonly struct AddOperation : IHostOperation
{
    public static float Host(float left, float right) => left + right;

    public static double Host(double left, double right) => left + right;

    public static Vector128<float> Host(Vector128<float> left, Vector128<float> right) => left + right;

    public static Vector128<double> Host(Vector128<double> left, Vector128<double> right) => left + right;

    public static bool IsZeroExact(double left, double right) => true;

    public static Vector128<float> IsZeroExact(Vector128<float> left, Vector128<float> right) => Vector128<float>.AllBitsSet;

    public static Vector128<double> IsZeroExact(Vector128<double> left, Vector128<double> right) => Vector128<double>.AllBitsSet;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TBits Apply<TFormat, TBits>(TBits left, TBits right, int immediate, ref FloatContext context)
        where TFormat : struct, ISseFormat<TBits>
        where TBits : unmanaged => SoftFloat.Add<TFormat, TBits>(left, right, ref context);
}

internal readonly struct SubtractOperation : IHostOperation
{
    public static float Host(float left, float right) => left - right;

    public static double Host(double left, double right) => left - right;

    public static Vector128<float> Host(Vector128<float> left, Vector128<float> right) => left - right;

    public static Vector128<double> Host(Vector128<double> left, Vector128<double> right) => left - right;

    public static bool IsZeroExact(double left, double right) => true;

    public static Vector128<float> IsZeroExact(Vector128<float> left, Vector128<float> right) => Vector128<float>.AllBitsSet;

    public static Vector128<double> IsZeroExact(Vector128<double> left, Vector128<double> right) => Vector128<double>.AllBitsSet;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TBits Apply<TFormat, TBits>(TBits left, TBits right, int immediate, ref FloatContext context)
        where TFormat : struct, ISseFormat<TBits>
        where TBits : unmanaged => SoftFloat.Subtract<TFormat, TBits>(left, right, ref context);
}

internal readonly struct MultiplyOperation : IHostOperation
{
    public static float Host(float left, float right) => left * right;

    public static double Host(double left, double right) => left * right;

    public static Vector128<float> Host(Vector128<float> left, Vector128<float> right) => left * right;

    public static Vector128<double> Host(Vector128<double> left, Vector128<double> right) => left * right;

    public static bool IsZeroExact(double left, double right) => left == 0 || right == 0;

    public static Vector128<float> IsZeroExact(Vector128<float> left, Vector128<float> right) =>
        Vector128.Equals(left, Vector128<float>.Zero) | Vector128.Equals(right, Vector128<float>.Zero);

    public static Vector128<double> IsZeroExact(Vector128<double> left, Vector128<double> right) =>
        Vector128.Equals(left, Vector128<double>.Zero) | Vector128.Equals(right, Vector128<double>.Zero);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TBits Apply<TFormat, TBits>(TBits left, TBits right, int immediate, ref FloatContext context)
        where TFormat : struct, ISseFormat<TBits>
        where TBits : unmanaged => SoftFloat.Multiply<TFormat, TBits>(left, right, ref context);
}

internal readonly struct DivideOperation : IHostOperation
{
    public static float Host(float left, float right) => left / right;

    public static double Host(double left, double right) => left / right;

    public static Vector128<float> Host(Vector128<float> left, Vector128<float> right) => left / right;

    public static Vector128<double> Host(Vector128<double> left, Vector128<double> right) => left / right;

    public static bool IsZeroExact(double left, double right) => left == 0 && right != 0;

    public static Vector128<float> IsZeroExact(Vector128<float> left, Vector128<float> right) => Vector128.Equals(left, Vector128<float>.Zero);

    public static Vector128<double> IsZeroExact(Vector128<double> left, Vector128<double> right) => Vector128.Equals(left, Vector128<double>.Zero);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TBits Apply<TFormat, TBits>(TBits left, TBits right, int immediate, ref FloatContext context)
        where TFormat : struct, ISseFormat<TBits>
        where TBits : unmanaged => SoftFloat.Divide<TFormat, TBits>(left, right, ref context);
}

/// <summary>Square root of the second operand.</summary>
internal readonly struct SquareRootOperation : IHostOperation
{
    public static float Host(float left, float right) => MathF.Sqrt(right);

    public static double Host(double left, double right) => Math.Sqrt(right);

    public static Vector128<float> Host(Vector128<float> left, Vector128<float> right) => Vector128.Sqrt(right);

    public static Vector128<double> Host(Vector128<double> left, Vector128<double> right) => Vector128.Sqrt(right);

    public static bool IsZeroExact(double left, double right) => true;

    public static Vector128<float> IsZeroExact(Vector128<float> left, Vector128<float> right) => Vector128<float>.AllBitsSet;

    public static Vector128<double> IsZeroExact(Vector128<double> left, Vector128<double> right) => Vector128<double>.AllBitsSet;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TBits Apply<TFormat, TBits>(TBits left, TBits right, int immediate, ref FloatContext context)
        where TFormat : struct, ISseFormat<TBits>
        where TBits : unmanaged => SoftFloat.SquareRoot<TFormat, TBits>(right, ref context);
}

internal readonly struct MinimumOperation : ILaneOperation
{
    public static TBits Apply<TFormat, TBits>(TBits left, TBits right, int immediate, ref FloatContext context)
        where TFormat : struct, ISseFormat<TBits>
        where TBits : unmanaged => SoftFloat.MinMax<TFormat, TBits>(left, right, false, ref context);
}

internal readonly struct MaximumOperation : ILaneOperation
{
    public static TBits Apply<TFormat, TBits>(TBits left, TBits right, int immediate, ref FloatContext context)
        where TFormat : struct, ISseFormat<TBits>
        where TBits : unmanaged => SoftFloat.MinMax<TFormat, TBits>(left, right, true, ref context);
}

/// <summary>
/// CMPPS and relatives; the immediate's low five bits are the predicate, of which the legacy forms have the first eight (SDM vol. 2A,
/// CMPPD table 3-1).
/// </summary>
internal readonly struct CompareOperation : ILaneOperation
{
    /// <summary>For each of the first sixteen predicates the relations it holds for: less 1, equal 2, greater 4, unordered 8.</summary>
    private const ulong Truths = 0xF465_0B9A_7CED_8312;

    public static TBits Apply<TFormat, TBits>(TBits left, TBits right, int immediate, ref FloatContext context)
        where TFormat : struct, ISseFormat<TBits>
        where TBits : unmanaged
    {
        // The inequalities, with 1 or 2 in the low two bits, signal on QNaNs; in the second sixteen it is the other way round.
        bool signaling = ((immediate & 3) is 1 or 2) ^ ((immediate & 16) != 0);
        FloatRelation relation = SoftFloat.Compare<TFormat, TBits>(left, right, signaling, ref context);
        return TFormat.Mask((Truths >> (((immediate & 15) * 4) + (int)relation) & 1) != 0);
    }
}

/// <summary>ROUNDPS and relatives on the second operand, with their immediate (SDM vol. 2B, ROUNDPD figure 4-24).</summary>
internal readonly struct RoundOperation : ILaneOperation
{
    public static TBits Apply<TFormat, TBits>(TBits left, TBits right, int immediate, ref FloatContext context)
        where TFormat : struct, ISseFormat<TBits>
        where TBits : unmanaged
    {
        FloatRounding rounding = (immediate & 4) != 0 ? context.Rounding : (FloatRounding)(immediate & 3);
        int before = context.Flags;
        TBits result = SoftFloat.RoundToIntegral<TFormat, TBits>(right, rounding, ref context);
        if ((immediate & 8) != 0)
        {
            context.Flags = before | (context.Flags & ~FloatFlags.Precision);
        }

        return result;
    }
}
