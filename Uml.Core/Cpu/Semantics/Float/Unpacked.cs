using System.Numerics;

namespace Uml.Core.Cpu.Semantics.Float;

/// <summary>What a datum is. The order matters: everything from <see cref="QuietNaN"/> on is not a number.</summary>
internal enum FloatClass : byte
{
    Zero,
    Denormal,
    Normal,
    Infinity,
    QuietNaN,
    SignalingNaN,

    /// <summary>An 80-bit encoding with a non-zero exponent and no integer bit (SDM vol. 1, 8.2.2).</summary>
    Unsupported,
}

/// <summary>A datum of any format, taken apart.</summary>
/// <remarks>
/// A number's value is Significand * 2^(Exponent - 63) with bit 63 of the significand set, denormals included.
/// A NaN keeps its payload left-aligned below the integer bit, so that narrowing truncates it as the hardware does.
/// </remarks>
internal readonly struct Unpacked(FloatClass kind, bool sign, int exponent, ulong significand)
{
    public const ulong IntegerBit = 1UL << 63;
    public const ulong QuietBit = 1UL << 62;

    public readonly ulong Significand = significand;
    public readonly int Exponent = exponent;
    public readonly FloatClass Kind = kind;
    public readonly bool Sign = sign;

    public static Unpacked DefaultNaN => new(FloatClass.QuietNaN, true, 0, IntegerBit | QuietBit);

    public bool IsNaN => Kind >= FloatClass.QuietNaN;

    public bool IsNumber => Kind is FloatClass.Normal or FloatClass.Denormal;

    public Unpacked Negated => new(Kind, !Sign, Exponent, Significand);

    public Unpacked Quieted => new(FloatClass.QuietNaN, Sign, 0, Significand | QuietBit);

    public static Unpacked Zero(bool sign) => new(FloatClass.Zero, sign, 0, 0);

    public static Unpacked Denormal(bool sign, int minExponent, ulong significand)
    {
        int shift = BitOperations.LeadingZeroCount(significand);
        return new(FloatClass.Denormal, sign, minExponent - shift, significand << shift);
    }

    public static Unpacked NaN(bool sign, ulong significand) => new(
        (significand & QuietBit) != 0 ? FloatClass.QuietNaN : FloatClass.SignalingNaN, sign, 0, significand);
}

/// <summary>An IEEE binary format, as constants and bit layout. Implemented by empty structs so that the compiler specialises the arithmetic.</summary>
internal interface IFloatFormat<TBits>
    where TBits : unmanaged
{
    /// <summary>Significand bits, integer bit included.</summary>
    static abstract int Precision { get; }

    static abstract int MinExponent { get; }

    static abstract int MaxExponent { get; }

    static abstract Unpacked Unpack(TBits bits, bool denormalsAreZero);

    /// <summary>Assembles a datum from a left-aligned significand with an explicit integer bit.</summary>
    static abstract TBits Pack(bool sign, int biasedExponent, ulong significand);
}

/// <summary>The formats that SSE computes with, where a comparison delivers a mask of the same width.</summary>
internal interface ISseFormat<TBits> : IFloatFormat<TBits>
    where TBits : unmanaged
{
    static abstract TBits Mask(bool value);
}

/// <summary>Binary32.</summary>
internal readonly struct Format32 : ISseFormat<uint>
{
    public static int Precision => 24;

    public static int MinExponent => -126;

    public static int MaxExponent => 127;

    public static Unpacked Unpack(uint bits, bool denormalsAreZero)
    {
        bool sign = (bits >> 31) != 0;
        int exponent = (int)(bits >> 23) & 0xFF;
        ulong fraction = (ulong)(bits & 0x7F_FFFF) << 40;
        if (exponent is not 0 and not 0xFF)
        {
            return new(FloatClass.Normal, sign, exponent - 127, fraction | Unpacked.IntegerBit);
        }

        if (exponent == 0)
        {
            return fraction == 0 || denormalsAreZero ? Unpacked.Zero(sign) : Unpacked.Denormal(sign, MinExponent, fraction);
        }

        return fraction == 0 ? new(FloatClass.Infinity, sign, 0, 0) : Unpacked.NaN(sign, fraction | Unpacked.IntegerBit);
    }

    public static uint Pack(bool sign, int biasedExponent, ulong significand) =>
        (sign ? 1u << 31 : 0) | ((uint)biasedExponent << 23) | ((uint)(significand >> 40) & 0x7F_FFFF);

    public static uint Mask(bool value) => value ? uint.MaxValue : 0;
}

/// <summary>Binary64.</summary>
internal readonly struct Format64 : ISseFormat<ulong>
{
    public static int Precision => 53;

    public static int MinExponent => -1022;

    public static int MaxExponent => 1023;

    public static Unpacked Unpack(ulong bits, bool denormalsAreZero)
    {
        bool sign = (bits >> 63) != 0;
        int exponent = (int)(bits >> 52) & 0x7FF;
        ulong fraction = (bits << 11) & ~Unpacked.IntegerBit;
        if (exponent is not 0 and not 0x7FF)
        {
            return new(FloatClass.Normal, sign, exponent - 1023, fraction | Unpacked.IntegerBit);
        }

        if (exponent == 0)
        {
            return fraction == 0 || denormalsAreZero ? Unpacked.Zero(sign) : Unpacked.Denormal(sign, MinExponent, fraction);
        }

        return fraction == 0 ? new(FloatClass.Infinity, sign, 0, 0) : Unpacked.NaN(sign, fraction | Unpacked.IntegerBit);
    }

    public static ulong Pack(bool sign, int biasedExponent, ulong significand) =>
        (sign ? 1UL << 63 : 0) | ((ulong)(uint)biasedExponent << 52) | ((significand & ~Unpacked.IntegerBit) >> 11);

    public static ulong Mask(bool value) => value ? ulong.MaxValue : 0;
}

/// <summary>Double extended precision (SDM vol. 1, 4.2.2 and 8.2.2).</summary>
internal readonly struct Format80 : IFloatFormat<Float80>
{
    public static int Precision => 64;

    public static int MinExponent => -16382;

    public static int MaxExponent => 16383;

    public static Unpacked Unpack(Float80 bits, bool denormalsAreZero)
    {
        bool sign = bits.Sign;
        int exponent = bits.BiasedExponent;
        ulong significand = bits.Significand;
        if (exponent == 0)
        {
            // A pseudo-denormal (integer bit set) has the value of the same datum with exponent 1, and still raises DE.
            return significand == 0 ? Unpacked.Zero(sign) : Unpacked.Denormal(sign, MinExponent, significand);
        }

        if ((significand & Unpacked.IntegerBit) == 0)
        {
            return new(FloatClass.Unsupported, sign, 0, significand);
        }

        if (exponent != 0x7FFF)
        {
            return new(FloatClass.Normal, sign, exponent - 16383, significand);
        }

        return significand == Unpacked.IntegerBit ? new(FloatClass.Infinity, sign, 0, 0) : Unpacked.NaN(sign, significand);
    }

    public static Float80 Pack(bool sign, int biasedExponent, ulong significand) =>
        new((ushort)((sign ? 0x8000 : 0) | biasedExponent), significand);
}
