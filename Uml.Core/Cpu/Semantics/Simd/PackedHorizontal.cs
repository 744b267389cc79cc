using System.Runtime.Intrinsics;

namespace Uml.Core.Cpu.Semantics.Simd;

/// <summary>Adjacent words, widened: sums and differences that cannot overflow.</summary>
internal static class AdjacentWords
{
    public static Vector128<int> Sum(Vector128<byte> value) => Even(value) + (value.AsInt32() >> 16);

    public static Vector128<int> Difference(Vector128<byte> value) => Even(value) - (value.AsInt32() >> 16);

    private static Vector128<int> Even(Vector128<byte> value) => (value.AsInt32() << 16) >> 16;
}

/// <summary>PHADDW.</summary>
internal readonly struct HorizontalAddWords : IVectorBinary
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) =>
        Vector128.Narrow(AdjacentWords.Sum(a), AdjacentWords.Sum(b)).AsByte();
}

/// <summary>PHADDSW.</summary>
internal readonly struct HorizontalAddWordsSaturating : IVectorBinary
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) =>
        Vector128.NarrowWithSaturation(AdjacentWords.Sum(a), AdjacentWords.Sum(b)).AsByte();
}

/// <summary>PHSUBW.</summary>
internal readonly struct HorizontalSubtractWords : IVectorBinary
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) =>
        Vector128.Narrow(AdjacentWords.Difference(a), AdjacentWords.Difference(b)).AsByte();
}

/// <summary>PHSUBSW.</summary>
internal readonly struct HorizontalSubtractWordsSaturating : IVectorBinary
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) =>
        Vector128.NarrowWithSaturation(AdjacentWords.Difference(a), AdjacentWords.Difference(b)).AsByte();
}

/// <summary>PHADDD.</summary>
internal readonly struct HorizontalAddDoublewords : IVectorBinary
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) =>
        Vector128.Narrow(Sum(a.AsUInt64()), Sum(b.AsUInt64())).AsByte();

    private static Vector128<ulong> Sum(Vector128<ulong> value) => value + (value >>> 32);
}

/// <summary>PHSUBD.</summary>
internal readonly struct HorizontalSubtractDoublewords : IVectorBinary
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) =>
        Vector128.Narrow(Difference(a.AsUInt64()), Difference(b.AsUInt64())).AsByte();

    private static Vector128<ulong> Difference(Vector128<ulong> value) => value - (value >>> 32);
}
