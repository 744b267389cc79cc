using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Uml.Core.Cpu.Semantics.Float;

/// <summary>
/// The floating-point instructions of SSE to SSE4.1 on values. Every method ORs the exceptions it finds into MXCSR and returns
/// false when one of them is unmasked: the caller then raises #XM and leaves the destination alone (SDM vol. 1, 11.5).
/// </summary>
/// <remarks>
/// The host's own IEEE arithmetic computes the result where it provably equals the guest's: all exceptions masked, round to
/// nearest, PE already sticky, and operands and result normal, so that no flag could change and neither DAZ nor FTZ matter.
/// Everything else goes to <see cref="SoftFloat"/>.
/// </remarks>
internal static partial class SseFloat
{
    /// <summary>The value of MXCSR after reset (SDM vol. 1, 11.6.4).</summary>
    public const uint DefaultMxcsr = 0x1F80;

    public const uint AllMasks = 0x1F80;
    private const uint RoundingMask = 0x6000;

    /// <summary>Smallest result that no rounding could have lifted out of the tiny range.</summary>
    private const float SafeMin32 = 2.3509887e-38f;
    private const double SafeMin64 = 4.4501477170144028e-308;
    private const float MinNormal32 = 1.17549435e-38f;
    private const double MinNormal64 = 2.2250738585072014e-308;

    /// <summary>Records the exceptions of an instruction; false if one is unmasked.</summary>
    /// <remarks>
    /// When an exception of the operands is unmasked in any element, nothing is computed, so that exceptions of results are not
    /// reported (SDM vol. 1, 11.5.2 and E.4.3).
    /// </remarks>
    internal static bool Commit(ref uint mxcsr, int flags)
    {
        int unmasked = flags & ~((int)(mxcsr >> 7) & FloatFlags.All);
        if ((unmasked & FloatFlags.PreComputation) != 0)
        {
            flags &= FloatFlags.PreComputation;
        }

        mxcsr |= (uint)flags;
        return unmasked == 0;
    }

    /// <summary>The exception flags of MXCSR.</summary>
    internal const uint AllFlags = FloatFlags.All;

    /// <summary>
    /// MXCSR after a 256-bit instruction with an unmasked exception in at least one lane, from what each lane alone left of an MXCSR
    /// without flags. An unmasked exception of the operands of one lane keeps the other's results from being reported too.
    /// </summary>
    internal static uint CombineLanes(uint mxcsr, uint lower, uint upper)
    {
        uint flags = (lower | upper) & AllFlags;
        uint unmasked = flags & ~(mxcsr >> 7);
        return mxcsr | ((unmasked & FloatFlags.PreComputation) != 0 ? flags & FloatFlags.PreComputation : flags);
    }

    /// <summary>Round to nearest, all masked, and inexactness already recorded.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool IsFastMode(uint mxcsr) =>
        (mxcsr & (RoundingMask | AllMasks | FloatFlags.Precision)) == (AllMasks | FloatFlags.Precision);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool IsPlain(float value) => MathF.Abs(value) >= MinNormal32 || value == 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool IsPlain(double value) => Math.Abs(value) >= MinNormal64 || value == 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool IsNormal(float value) => MathF.Abs(value) >= MinNormal32;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool IsNormal(double value) => Math.Abs(value) >= MinNormal64;

    /// <summary>Finite and far enough from the tiny range.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool IsSafe(float value) => MathF.Abs(value) is >= SafeMin32 and <= float.MaxValue;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool IsSafe(double value) => Math.Abs(value) is >= SafeMin64 and <= double.MaxValue;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> Plain(Vector128<float> value) =>
        Vector128.GreaterThanOrEqual(Vector128.Abs(value), Vector128.Create(MinNormal32)) | Vector128.Equals(value, Vector128<float>.Zero);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<double> Plain(Vector128<double> value) =>
        Vector128.GreaterThanOrEqual(Vector128.Abs(value), Vector128.Create(MinNormal64)) | Vector128.Equals(value, Vector128<double>.Zero);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> Safe(Vector128<float> value)
    {
        Vector128<float> magnitude = Vector128.Abs(value);
        return Vector128.GreaterThanOrEqual(magnitude, Vector128.Create(SafeMin32))
            & Vector128.LessThanOrEqual(magnitude, Vector128.Create(float.MaxValue));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<double> Safe(Vector128<double> value)
    {
        Vector128<double> magnitude = Vector128.Abs(value);
        return Vector128.GreaterThanOrEqual(magnitude, Vector128.Create(SafeMin64))
            & Vector128.LessThanOrEqual(magnitude, Vector128.Create(double.MaxValue));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool AllTrue(Vector128<float> mask) => Vector128.ExtractMostSignificantBits(mask) == 0xF;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool AllTrue(Vector128<double> mask) => Vector128.ExtractMostSignificantBits(mask) == 0x3;

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool ScalarSlow<TOperation, TFormat, TBits>(TBits left, TBits right, int immediate, ref uint mxcsr, out TBits result)
        where TOperation : struct, ILaneOperation
        where TFormat : struct, ISseFormat<TBits>
        where TBits : unmanaged
    {
        FloatContext context = FloatContext.FromMxcsr(mxcsr);
        result = TOperation.Apply<TFormat, TBits>(left, right, immediate, ref context);
        return Commit(ref mxcsr, context.Flags);
    }

    /// <summary>Applies an operation to each pair of elements, gathering the exceptions of all of them.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool PackedSlow<TOperation, TFormat, TBits>(
        Vector128<TBits> left, Vector128<TBits> right, int immediate, ref uint mxcsr, out Vector128<TBits> result)
        where TOperation : struct, ILaneOperation
        where TFormat : struct, ISseFormat<TBits>
        where TBits : unmanaged
    {
        FloatContext context = FloatContext.FromMxcsr(mxcsr);
        result = default;
        for (int lane = 0; lane < Vector128<TBits>.Count; lane++)
        {
            TBits value = TOperation.Apply<TFormat, TBits>(left.GetElement(lane), right.GetElement(lane), immediate, ref context);
            result = result.WithElement(lane, value);
        }

        return Commit(ref mxcsr, context.Flags);
    }
}
