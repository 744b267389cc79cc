using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Uml.Core.Cpu.Semantics.Simd;

/// <summary>PSLLW, PSLLD, PSLLQ: the count is the source's low quadword, the same for all elements; too large a count gives zero.</summary>
internal readonly struct ShiftLeft<T> : IVectorBinary
    where T : unmanaged
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b)
    {
        ulong count = b.AsUInt64().ToScalar();
        return count < (uint)Unsafe.SizeOf<T>() * 8 ? (a.As<byte, T>() << (int)count).AsByte() : Vector128<byte>.Zero;
    }
}

/// <summary>PSRLW, PSRLD, PSRLQ.</summary>
internal readonly struct ShiftRightLogical<T> : IVectorBinary
    where T : unmanaged
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b)
    {
        ulong count = b.AsUInt64().ToScalar();
        return count < (uint)Unsafe.SizeOf<T>() * 8 ? (a.As<byte, T>() >>> (int)count).AsByte() : Vector128<byte>.Zero;
    }
}

/// <summary>PSRAW, PSRAD: too large a count fills with the sign.</summary>
internal readonly struct ShiftRightArithmetic<T> : IVectorBinary
    where T : unmanaged, ISignedNumber<T>
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b)
    {
        ulong count = Math.Min(b.AsUInt64().ToScalar(), ((uint)Unsafe.SizeOf<T>() * 8) - 1);
        return (a.As<byte, T>() >> (int)count).AsByte();
    }
}

/// <summary>PSLLDQ: a shift of the whole register by bytes.</summary>
internal readonly struct ShiftLeftBytes : IVectorImmediate
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b, byte immediate) =>
        Vector128.Shuffle(a, Vector128<byte>.Indices - Vector128.Create(Math.Min(immediate, (byte)16)));
}

/// <summary>PSRLDQ.</summary>
internal readonly struct ShiftRightBytes : IVectorImmediate
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b, byte immediate) =>
        Vector128.Shuffle(a, Vector128<byte>.Indices + Vector128.Create(Math.Min(immediate, (byte)16)));
}

/// <summary>PALIGNR: bytes of destination:source from an offset on.</summary>
internal readonly struct AlignRight : IVectorImmediate
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b, byte immediate)
    {
        Vector128<byte> offset = Vector128.Create(Math.Min(immediate, (byte)32));
        Vector128<byte> low = Vector128<byte>.Indices + offset;
        return Vector128.Shuffle(b, low) | Vector128.Shuffle(a, low - Vector128.Create((byte)16));
    }
}

/// <summary>PALIGNR on MMX registers.</summary>
internal readonly struct MmxAlignRight : IVectorImmediate
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b, byte immediate) =>
        ShiftRightBytes.Apply(Vector128.Create(b.GetLower(), a.GetLower()), default, immediate);
}
