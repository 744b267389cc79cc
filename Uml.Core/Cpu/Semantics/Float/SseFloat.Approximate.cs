using System.Runtime.Intrinsics;

namespace Uml.Core.Cpu.Semantics.Float;

internal static partial class SseFloat
{
    /// <summary>RCPSS: an approximation within 1.5 * 2^-12 (SDM vol. 2B, RCPSS). No exceptions, no dependence on MXCSR.</summary>
    /// <remarks>
    /// The bits are the vendor's own: real processors agree neither with each other nor with this, so tests against hardware compare
    /// with the tolerance. Here it is the exact value rounded to 13 significand bits, the same on every host.
    /// </remarks>
    public static uint RcpSs(uint source)
    {
        float value = BitConverter.UInt32BitsToSingle(source);
        uint sign = source & 0x8000_0000;
        if (float.IsNaN(value))
        {
            return source | 0x0040_0000;
        }

        if (Math.Abs(value) < MinNormal32)
        {
            return sign | 0x7F80_0000;
        }

        uint rounded = RoundApproximation((float)(1.0 / value));

        // Tiny results are flushed.
        return (rounded & 0x7F80_0000) == 0 ? sign : rounded;
    }

    /// <summary>RSQRTSS: as <see cref="RcpSs"/> for the reciprocal of the square root.</summary>
    public static uint RsqrtSs(uint source)
    {
        float value = BitConverter.UInt32BitsToSingle(source);
        uint sign = source & 0x8000_0000;
        if (float.IsNaN(value))
        {
            return source | 0x0040_0000;
        }

        if (Math.Abs(value) < MinNormal32)
        {
            return sign | 0x7F80_0000;
        }

        return sign != 0 ? 0xFFC0_0000 : RoundApproximation((float)(1.0 / Math.Sqrt(value)));
    }

    public static Vector128<float> RcpPs(Vector128<float> source)
    {
        Vector128<uint> bits = source.AsUInt32();
        return Vector128.Create(
            RcpSs(bits.GetElement(0)), RcpSs(bits.GetElement(1)), RcpSs(bits.GetElement(2)), RcpSs(bits.GetElement(3))).AsSingle();
    }

    public static Vector128<float> RsqrtPs(Vector128<float> source)
    {
        Vector128<uint> bits = source.AsUInt32();
        return Vector128.Create(
            RsqrtSs(bits.GetElement(0)), RsqrtSs(bits.GetElement(1)), RsqrtSs(bits.GetElement(2)), RsqrtSs(bits.GetElement(3))).AsSingle();
    }

    /// <summary>Keeps 13 significand bits: half a unit of the last is 2^-13, well inside the promise.</summary>
    private static uint RoundApproximation(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        return (bits & 0x7F80_0000) == 0x7F80_0000 ? bits : (bits + 0x400) & ~0x7FFu;
    }
}
