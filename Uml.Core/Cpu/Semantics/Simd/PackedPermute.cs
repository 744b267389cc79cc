using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Uml.Core.Cpu.Semantics.Simd;

/// <summary>VPERMILPS with a vector of selectors: bits 1:0 of each.</summary>
internal readonly struct PermuteSingles : IVectorBinary
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) =>
        Vector128.Shuffle(a.AsUInt32(), b.AsUInt32() & Vector128.Create(3u)).AsByte();
}

/// <summary>VPERMILPD with a vector of selectors: bit 1 of each (SDM vol. 2C, VPERMILPD).</summary>
internal readonly struct PermuteDoubles : IVectorBinary
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) =>
        Vector128.Shuffle(a.AsUInt64(), (b.AsUInt64() >>> 1) & Vector128<ulong>.One).AsByte();
}

/// <summary>VPERMILPD with an immediate: SHUFPD of one operand.</summary>
internal readonly struct PermuteDoublesImmediate : IVectorImmediate
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b, byte immediate) => ShuffleDoubles.Apply(b, b, immediate);

    public static byte UpperLane(byte immediate) => ShuffleDoubles.UpperLane(immediate);
}

/// <summary>VPSLLVD, VPSLLVQ: each element has its own count; too large a one gives zero.</summary>
internal readonly struct ShiftLeftVariable<T> : IVectorBinary
    where T : unmanaged, IBinaryInteger<T>
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) =>
        VariableShift.Apply<Element, T>(a, b);

    internal readonly struct Element : IElementShift<T>
    {
        public static T Apply(T value, ulong count) => count < VariableShift.Bits<T>() ? value << (int)count : T.Zero;
    }
}

/// <summary>VPSRLVD, VPSRLVQ.</summary>
internal readonly struct ShiftRightLogicalVariable<T> : IVectorBinary
    where T : unmanaged, IBinaryInteger<T>
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) =>
        VariableShift.Apply<Element, T>(a, b);

    internal readonly struct Element : IElementShift<T>
    {
        public static T Apply(T value, ulong count) => count < VariableShift.Bits<T>() ? value >>> (int)count : T.Zero;
    }
}

/// <summary>VPSRAVD: too large a count fills with the sign.</summary>
internal readonly struct ShiftRightArithmeticVariable<T> : IVectorBinary
    where T : unmanaged, IBinaryInteger<T>, ISignedNumber<T>
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) =>
        VariableShift.Apply<Element, T>(a, b);

    internal readonly struct Element : IElementShift<T>
    {
        public static T Apply(T value, ulong count) => value >> (int)Math.Min(count, VariableShift.Bits<T>() - 1);
    }
}

/// <summary>One element shifted by its own, unsigned, count.</summary>
internal interface IElementShift<T>
    where T : unmanaged
{
    static abstract T Apply(T value, ulong count);
}

internal static class VariableShift
{
    public static ulong Bits<T>()
        where T : unmanaged => (ulong)Unsafe.SizeOf<T>() * 8;

    public static Vector128<byte> Apply<TShift, T>(Vector128<byte> a, Vector128<byte> b)
        where TShift : struct, IElementShift<T>
        where T : unmanaged
    {
        Vector128<T> result = a.As<byte, T>();
        for (int i = 0; i < Vector128<T>.Count; i++)
        {
            ulong count = Unsafe.SizeOf<T>() == 4 ? b.AsUInt32().GetElement(i) : b.AsUInt64().GetElement(i);
            result = result.WithElement(i, TShift.Apply(result.GetElement(i), count));
        }

        return result.AsByte();
    }
}

/// <summary>An operation on whole 256-bit registers, across lanes.</summary>
internal interface IWideBinary
{
    static abstract Vector256<byte> Apply(Vector256<byte> a, Vector256<byte> b);
}

/// <summary>As <see cref="IWideBinary"/>, with an immediate byte.</summary>
internal interface IWideImmediate
{
    static abstract Vector256<byte> Apply(Vector256<byte> a, Vector256<byte> b, byte immediate);
}

/// <summary>VPERMPS, VPERMD: elements of the second operand, chosen by bits 2:0 of those of the first.</summary>
internal readonly struct PermuteAllDoublewords : IWideBinary
{
    public static Vector256<byte> Apply(Vector256<byte> a, Vector256<byte> b) =>
        Vector256.Shuffle(b.AsUInt32(), a.AsUInt32() & Vector256.Create(7u)).AsByte();
}

/// <summary>VPERMQ, VPERMPD: four two-bit selectors.</summary>
internal readonly struct PermuteAllQuadwords : IWideImmediate
{
    public static Vector256<byte> Apply(Vector256<byte> a, Vector256<byte> b, byte immediate) => Vector256.Shuffle(
        b.AsUInt64(),
        Vector256.Create(immediate & 3ul, ((ulong)immediate >> 2) & 3, ((ulong)immediate >> 4) & 3, (ulong)immediate >> 6)).AsByte();
}

/// <summary>VPERM2F128, VPERM2I128: each lane is any of the four of both operands, or zero.</summary>
internal readonly struct PermuteLanes : IWideImmediate
{
    public static Vector256<byte> Apply(Vector256<byte> a, Vector256<byte> b, byte immediate) =>
        Vector256.Create(Lane(a, b, immediate), Lane(a, b, immediate >> 4));

    private static Vector128<byte> Lane(Vector256<byte> a, Vector256<byte> b, int selector) => (selector & 8) != 0
        ? Vector128<byte>.Zero
        : (selector & 3) switch
        {
            0 => a.GetLower(),
            1 => a.GetUpper(),
            2 => b.GetLower(),
            _ => b.GetUpper(),
        };
}
