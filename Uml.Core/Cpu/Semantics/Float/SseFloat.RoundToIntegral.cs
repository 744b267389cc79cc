using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Uml.Core.Cpu.Semantics.Float;

internal static partial class SseFloat
{
    /// <summary>ROUNDSS; of the immediate, bits 1:0 are the mode unless bit 2 asks for MXCSR's, and bit 3 suppresses PE.</summary>
    public static bool RoundSs(uint source, byte immediate, ref uint mxcsr, out uint result)
    {
        float value = BitConverter.UInt32BitsToSingle(source);
        if (IsPlain(value))
        {
            // A float's integral neighbours are floats, so the detour through double is exact.
            double rounded = HostRound(value, immediate, mxcsr);
            result = BitConverter.SingleToUInt32Bits((float)rounded);
            if (rounded == value || IsInexactSilent(immediate, mxcsr))
            {
                return true;
            }
        }

        return ScalarSlow<RoundOperation, Format32, uint>(source, source, immediate, ref mxcsr, out result);
    }

    public static bool RoundSd(ulong source, byte immediate, ref uint mxcsr, out ulong result)
    {
        double value = BitConverter.UInt64BitsToDouble(source);
        if (IsPlain(value))
        {
            double rounded = HostRound(value, immediate, mxcsr);
            result = BitConverter.DoubleToUInt64Bits(rounded);
            if (rounded == value || IsInexactSilent(immediate, mxcsr))
            {
                return true;
            }
        }

        return ScalarSlow<RoundOperation, Format64, ulong>(source, source, immediate, ref mxcsr, out result);
    }

    public static bool RoundPs(Vector128<float> source, byte immediate, ref uint mxcsr, out Vector128<float> result)
    {
        if (AllTrue(Plain(source)) && IsInexactSilent(immediate, mxcsr))
        {
            result = Mode(immediate, mxcsr) switch
            {
                FloatRounding.Nearest => Vector128.Round(source),
                FloatRounding.Down => Vector128.Floor(source),
                FloatRounding.Up => Vector128.Ceiling(source),
                _ => Vector128.Truncate(source),
            };
            return true;
        }

        bool ok = PackedSlow<RoundOperation, Format32, uint>(
            source.AsUInt32(), source.AsUInt32(), immediate, ref mxcsr, out Vector128<uint> bits);
        result = bits.AsSingle();
        return ok;
    }

    public static bool RoundPd(Vector128<double> source, byte immediate, ref uint mxcsr, out Vector128<double> result)
    {
        if (AllTrue(Plain(source)) && IsInexactSilent(immediate, mxcsr))
        {
            result = Mode(immediate, mxcsr) switch
            {
                FloatRounding.Nearest => Vector128.Round(source),
                FloatRounding.Down => Vector128.Floor(source),
                FloatRounding.Up => Vector128.Ceiling(source),
                _ => Vector128.Truncate(source),
            };
            return true;
        }

        bool ok = PackedSlow<RoundOperation, Format64, ulong>(
            source.AsUInt64(), source.AsUInt64(), immediate, ref mxcsr, out Vector128<ulong> bits);
        result = bits.AsDouble();
        return ok;
    }

    private static FloatRounding Mode(byte immediate, uint mxcsr) =>
        (FloatRounding)((immediate & 4) != 0 ? (mxcsr >> 13) & 3 : immediate & 3u);

    /// <summary>PE is suppressed, or already recorded and masked.</summary>
    private static bool IsInexactSilent(byte immediate, uint mxcsr)
    {
        const uint silent = FloatFlags.Precision | (FloatFlags.Precision << 7);
        return (immediate & 8) != 0 || (mxcsr & silent) == silent;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static double HostRound(double value, byte immediate, uint mxcsr) => Mode(immediate, mxcsr) switch
    {
        FloatRounding.Nearest => Math.Round(value),
        FloatRounding.Down => Math.Floor(value),
        FloatRounding.Up => Math.Ceiling(value),
        _ => Math.Truncate(value),
    };
}
