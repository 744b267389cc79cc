using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Uml.Core.Cpu.Semantics.Simd;

/// <summary>PUNPCKLBW, PUNPCKLWD, PUNPCKLDQ, PUNPCKLQDQ, UNPCKLPS, UNPCKLPD: the low halves, interleaved.</summary>
internal readonly struct UnpackLow<T> : IVectorBinary
    where T : unmanaged
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) => Unsafe.SizeOf<T>() switch
    {
        1 => (Vector128.WidenLower(a) | (Vector128.WidenLower(b) << 8)).AsByte(),
        2 => (Vector128.WidenLower(a.AsUInt16()) | (Vector128.WidenLower(b.AsUInt16()) << 16)).AsByte(),
        4 => (Vector128.WidenLower(a.AsUInt32()) | (Vector128.WidenLower(b.AsUInt32()) << 32)).AsByte(),
        _ => Vector128.Create(a.GetLower(), b.GetLower()),
    };
}

/// <summary>PUNPCKHBW, PUNPCKHWD, PUNPCKHDQ, PUNPCKHQDQ, UNPCKHPS, UNPCKHPD: the high halves, interleaved.</summary>
internal readonly struct UnpackHigh<T> : IVectorBinary
    where T : unmanaged
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) => Unsafe.SizeOf<T>() switch
    {
        1 => (Vector128.WidenUpper(a) | (Vector128.WidenUpper(b) << 8)).AsByte(),
        2 => (Vector128.WidenUpper(a.AsUInt16()) | (Vector128.WidenUpper(b.AsUInt16()) << 16)).AsByte(),
        4 => (Vector128.WidenUpper(a.AsUInt32()) | (Vector128.WidenUpper(b.AsUInt32()) << 32)).AsByte(),
        _ => Vector128.Create(a.GetUpper(), b.GetUpper()),
    };
}

/// <summary>PUNPCKH* on MMX registers: the upper half of what interleaving all of both gives.</summary>
internal readonly struct MmxUnpackHigh<T> : IVectorBinary
    where T : unmanaged
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) =>
        Vector128.Create(UnpackLow<T>.Apply(a, b).GetUpper(), default);
}

/// <summary>PACKSSWB.</summary>
internal readonly struct PackSignedWords : IVectorBinary
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) =>
        Vector128.NarrowWithSaturation(a.AsInt16(), b.AsInt16()).AsByte();
}

/// <summary>PACKSSDW.</summary>
internal readonly struct PackSignedDoublewords : IVectorBinary
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) =>
        Vector128.NarrowWithSaturation(a.AsInt32(), b.AsInt32()).AsByte();
}

/// <summary>PACKUSWB: signed words to unsigned bytes.</summary>
internal readonly struct PackUnsignedWords : IVectorBinary
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) => Vector128.Narrow(Clamp(a), Clamp(b));

    private static Vector128<ushort> Clamp(Vector128<byte> value) =>
        Vector128.Min(Vector128.Max(value.AsInt16(), Vector128<short>.Zero), Vector128.Create((short)0xFF)).AsUInt16();
}

/// <summary>PACKUSDW: signed doublewords to unsigned words.</summary>
internal readonly struct PackUnsignedDoublewords : IVectorBinary
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) => Vector128.Narrow(Clamp(a), Clamp(b)).AsByte();

    private static Vector128<uint> Clamp(Vector128<byte> value) =>
        Vector128.Min(Vector128.Max(value.AsInt32(), Vector128<int>.Zero), Vector128.Create(0xFFFF)).AsUInt32();
}

/// <summary>PSHUFB: bit 7 of an index gives zero, bits 6 to 4 are ignored.</summary>
internal readonly struct ShuffleBytes : IVectorBinary
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) =>
        Vector128.Shuffle(a, b & Vector128.Create((byte)0x8F));
}

/// <summary>PSHUFB on MMX registers.</summary>
internal readonly struct MmxShuffleBytes : IVectorBinary
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) =>
        Vector128.Shuffle(a, b & Vector128.Create((byte)0x87));
}

/// <summary>PSHUFD.</summary>
internal readonly struct ShuffleDoublewords : IVectorImmediate
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b, byte immediate) =>
        Vector128.Shuffle(b.AsUInt32(), Selectors.Doublewords(immediate)).AsByte();
}

/// <summary>PSHUFLW, and PSHUFW on MMX registers.</summary>
internal readonly struct ShuffleLowWords : IVectorImmediate
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b, byte immediate) =>
        Vector128.Shuffle(b.AsUInt16(), Vector128.Create(Selectors.Words(immediate), Vector64.Create((ushort)4, 5, 6, 7))).AsByte();
}

/// <summary>PSHUFHW.</summary>
internal readonly struct ShuffleHighWords : IVectorImmediate
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b, byte immediate) =>
        Vector128.Shuffle(
            b.AsUInt16(),
            Vector128.Create(Vector64.Create((ushort)0, 1, 2, 3), Selectors.Words(immediate) + Vector64.Create((ushort)4))).AsByte();
}

/// <summary>SHUFPS: two elements of the destination, then two of the source.</summary>
internal readonly struct ShuffleSingles : IVectorImmediate
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b, byte immediate)
    {
        Vector128<uint> selectors = Selectors.Doublewords(immediate);
        return Vector128.Create(
            Vector128.Shuffle(a.AsUInt32(), selectors).GetLower(),
            Vector128.Shuffle(b.AsUInt32(), selectors).GetUpper()).AsByte();
    }
}

/// <summary>SHUFPD.</summary>
internal readonly struct ShuffleDoubles : IVectorImmediate
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b, byte immediate) => Vector128.Create(
        (immediate & 1) == 0 ? a.GetLower() : a.GetUpper(),
        (immediate & 2) == 0 ? b.GetLower() : b.GetUpper());

    public static byte UpperLane(byte immediate) => (byte)(immediate >> 2);
}

/// <summary>The four two-bit fields of a shuffle's immediate, one for each element.</summary>
internal static class Selectors
{
    public static Vector128<uint> Doublewords(byte immediate) =>
        Vector128.Create(immediate & 3u, ((uint)immediate >> 2) & 3, ((uint)immediate >> 4) & 3, (uint)immediate >> 6);

    public static Vector64<ushort> Words(byte immediate) =>
        Vector64.Create((ushort)(immediate & 3), (ushort)((immediate >> 2) & 3), (ushort)((immediate >> 4) & 3), (ushort)(immediate >> 6));
}

/// <summary>MOVDDUP.</summary>
internal readonly struct DuplicateLowDouble : IVectorBinary
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) => Vector128.Create(b.GetLower(), b.GetLower());
}

/// <summary>MOVSLDUP.</summary>
internal readonly struct DuplicateEvenSingles : IVectorBinary
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) =>
        Vector128.Shuffle(b.AsUInt32(), Vector128.Create(0u, 0, 2, 2)).AsByte();
}

/// <summary>MOVSHDUP.</summary>
internal readonly struct DuplicateOddSingles : IVectorBinary
{
    public static Vector128<byte> Apply(Vector128<byte> a, Vector128<byte> b) =>
        Vector128.Shuffle(b.AsUInt32(), Vector128.Create(1u, 1, 3, 3)).AsByte();
}
