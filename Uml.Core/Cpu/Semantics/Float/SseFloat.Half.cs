using System.Runtime.Intrinsics;

namespace Uml.Core.Cpu.Semantics.Float;

/// <summary>Binary16, which F16C converts from and to.</summary>
internal readonly struct Format16 : IFloatFormat<ushort>
{
    public static int Precision => 11;

    public static int MinExponent => -14;

    public static int MaxExponent => 15;

    public static Unpacked Unpack(ushort bits, bool denormalsAreZero)
    {
        bool sign = (bits >> 15) != 0;
        int exponent = (bits >> 10) & 0x1F;
        ulong fraction = (ulong)(bits & 0x3FF) << 53;
        if (exponent is not 0 and not 0x1F)
        {
            return new(FloatClass.Normal, sign, exponent - 15, fraction | Unpacked.IntegerBit);
        }

        if (exponent == 0)
        {
            return fraction == 0 || denormalsAreZero ? Unpacked.Zero(sign) : Unpacked.Denormal(sign, MinExponent, fraction);
        }

        return fraction == 0 ? new(FloatClass.Infinity, sign, 0, 0) : Unpacked.NaN(sign, fraction | Unpacked.IntegerBit);
    }

    public static ushort Pack(bool sign, int biasedExponent, ulong significand) =>
        (ushort)((sign ? 0x8000 : 0) | (biasedExponent << 10) | ((int)(significand >> 53) & 0x3FF));
}

/// <summary>F16C.</summary>
internal static partial class SseFloat
{
    /// <summary>VCVTPH2PS of four elements: exact; DAZ does not apply and denormals are not reported (SDM vol. 2C, VCVTPH2PS).</summary>
    public static bool CvtPh2Ps(ulong source, ref uint mxcsr, out Vector128<float> result)
    {
        FloatContext context = FloatContext.FromMxcsr(mxcsr);
        context.DenormalsAreZero = false;
        Vector128<uint> bits = default;
        for (int i = 0; i < 4; i++)
        {
            bits = bits.WithElement(i, SoftFloat.Convert<Format16, ushort, Format32, uint>((ushort)(source >> (16 * i)), ref context));
        }

        result = bits.AsSingle();
        return Commit(ref mxcsr, context.Flags & ~FloatFlags.Denormal);
    }

    /// <summary>
    /// VCVTPS2PH of four elements, packed into 64 bits: bits 1:0 of the immediate are the rounding mode unless bit 2 asks for MXCSR's;
    /// FTZ does not apply (SDM vol. 2C, VCVTPS2PH).
    /// </summary>
    public static bool CvtPs2Ph(Vector128<float> source, byte immediate, ref uint mxcsr, out ulong result)
    {
        FloatContext context = FloatContext.FromMxcsr(mxcsr);
        context.FlushToZero = false;
        context.Rounding = Mode(immediate, mxcsr);
        result = 0;
        for (int i = 0; i < 4; i++)
        {
            result |= (ulong)SoftFloat.Convert<Format32, uint, Format16, ushort>(source.AsUInt32().GetElement(i), ref context) << (16 * i);
        }

        return Commit(ref mxcsr, context.Flags);
    }
}
