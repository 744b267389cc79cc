using System.Runtime.Intrinsics;

namespace Uml.Core.Cpu.Semantics.Simd;

/// <summary>PMULLW, PMULLD: low halves of the products.</summary>
internal readonly struct MultiplyLow<T> : IVectorBinary
    where T : unmanaged
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) => (a.As<byte, T>() * b.As<byte, T>()).AsByte();
}

/// <summary>Products of words, in the 32-bit lanes that hold them: even words and odd words apart.</summary>
internal static class WordProducts
{
    public static Vector128<int> Even(Vector128<byte> a, Vector128<byte> b) =>
        ((a.AsInt32() << 16) >> 16) * ((b.AsInt32() << 16) >> 16);

    public static Vector128<int> Odd(Vector128<byte> a, Vector128<byte> b) => (a.AsInt32() >> 16) * (b.AsInt32() >> 16);
}

/// <summary>PMULHW: high halves of signed products.</summary>
internal readonly struct MultiplyHigh : IVectorBinary
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b)
    {
        Vector128<int> even = WordProducts.Even(a, b) >>> 16;
        Vector128<int> odd = WordProducts.Odd(a, b) & Vector128.Create(unchecked((int)0xFFFF0000));
        return (even | odd).AsByte();
    }
}

/// <summary>PMULHUW: high halves of unsigned products.</summary>
internal readonly struct MultiplyHighUnsigned : IVectorBinary
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b)
    {
        Vector128<uint> low = Vector128.Create(0xFFFFu);
        Vector128<uint> even = (a.AsUInt32() & low) * (b.AsUInt32() & low);
        Vector128<uint> odd = (a.AsUInt32() >>> 16) * (b.AsUInt32() >>> 16);
        return ((even >>> 16) | (odd & ~low)).AsByte();
    }
}

/// <summary>PMULHRSW: signed products of 15-bit fractions, rounded.</summary>
internal readonly struct MultiplyHighRounded : IVectorBinary
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b)
    {
        Vector128<int> even = ((WordProducts.Even(a, b) >> 14) + Vector128<int>.One) >> 1;
        Vector128<int> odd = ((WordProducts.Odd(a, b) >> 14) + Vector128<int>.One) >> 1;
        return ((even & Vector128.Create(0xFFFF)) | (odd << 16)).AsByte();
    }
}

/// <summary>PMULUDQ: unsigned products of the even doublewords.</summary>
internal readonly struct MultiplyEvenUnsigned : IVectorBinary
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) => Vector128.Create(
        (ulong)a.AsUInt32().GetElement(0) * b.AsUInt32().GetElement(0),
        (ulong)a.AsUInt32().GetElement(2) * b.AsUInt32().GetElement(2)).AsByte();
}

/// <summary>PMULDQ: signed products of the even doublewords.</summary>
internal readonly struct MultiplyEvenSigned : IVectorBinary
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) => Vector128.Create(
        (long)a.AsInt32().GetElement(0) * b.AsInt32().GetElement(0),
        (long)a.AsInt32().GetElement(2) * b.AsInt32().GetElement(2)).AsByte();
}

/// <summary>PMADDWD: sums of adjacent signed products; only -8000h * -8000h twice wraps.</summary>
internal readonly struct MultiplyAddWords : IVectorBinary
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) => (WordProducts.Even(a, b) + WordProducts.Odd(a, b)).AsByte();
}

/// <summary>PMADDUBSW: unsigned bytes of the destination times signed bytes of the source, adjacent sums saturated.</summary>
internal readonly struct MultiplyAddBytes : IVectorBinary
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b)
    {
        Vector128<short> x = a.AsInt16();
        Vector128<short> y = b.AsInt16();
        Vector128<short> even = (x & Vector128.Create((short)0xFF)) * ((y << 8) >> 8);
        Vector128<short> odd = (x >>> 8) * (y >> 8);
        return Vector128.AddSaturate(even, odd).AsByte();
    }
}
