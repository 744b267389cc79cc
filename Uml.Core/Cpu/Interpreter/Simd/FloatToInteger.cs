using System.Runtime.Intrinsics;
using Uml.Core.Cpu.Semantics.Float;

namespace Uml.Core.Cpu.Interpreter.Simd;

/// <summary>Whether a conversion to integers truncates (CVTT..) or rounds as MXCSR says.</summary>
internal interface IRoundingChoice
{
    static abstract bool Truncate { get; }
}

/// <summary>CVTT...</summary>
internal readonly struct Truncating : IRoundingChoice
{
    public static bool Truncate => true;
}

/// <summary>CVT...</summary>
internal readonly struct Rounding : IRoundingChoice
{
    public static bool Truncate => false;
}

/// <summary>CVTSS2SI, CVTTSS2SI to 32 bits.</summary>
internal readonly struct SingleToInt32<TRounding> : IFloatConversion<uint, uint>
    where TRounding : struct, IRoundingChoice
{
    public static bool Apply(uint source, ref uint mxcsr, out uint result)
    {
        bool ok = TRounding.Truncate
            ? SseFloat.CvttSs2Si32(source, ref mxcsr, out int value)
            : SseFloat.CvtSs2Si32(source, ref mxcsr, out value);
        result = (uint)value;
        return ok;
    }
}

/// <summary>CVTSS2SI, CVTTSS2SI to 64 bits.</summary>
internal readonly struct SingleToInt64<TRounding> : IFloatConversion<uint, ulong>
    where TRounding : struct, IRoundingChoice
{
    public static bool Apply(uint source, ref uint mxcsr, out ulong result)
    {
        bool ok = TRounding.Truncate
            ? SseFloat.CvttSs2Si64(source, ref mxcsr, out long value)
            : SseFloat.CvtSs2Si64(source, ref mxcsr, out value);
        result = (ulong)value;
        return ok;
    }
}

/// <summary>CVTSD2SI, CVTTSD2SI to 32 bits.</summary>
internal readonly struct DoubleToInt32<TRounding> : IFloatConversion<ulong, uint>
    where TRounding : struct, IRoundingChoice
{
    public static bool Apply(ulong source, ref uint mxcsr, out uint result)
    {
        bool ok = TRounding.Truncate
            ? SseFloat.CvttSd2Si32(source, ref mxcsr, out int value)
            : SseFloat.CvtSd2Si32(source, ref mxcsr, out value);
        result = (uint)value;
        return ok;
    }
}

/// <summary>CVTSD2SI, CVTTSD2SI to 64 bits.</summary>
internal readonly struct DoubleToInt64<TRounding> : IFloatConversion<ulong, ulong>
    where TRounding : struct, IRoundingChoice
{
    public static bool Apply(ulong source, ref uint mxcsr, out ulong result)
    {
        bool ok = TRounding.Truncate
            ? SseFloat.CvttSd2Si64(source, ref mxcsr, out long value)
            : SseFloat.CvtSd2Si64(source, ref mxcsr, out value);
        result = (ulong)value;
        return ok;
    }
}

/// <summary>CVTPS2DQ, CVTTPS2DQ.</summary>
internal readonly struct SinglesToIntegers<TRounding> : IFloatConversion<Vector128<float>, Vector128<int>>
    where TRounding : struct, IRoundingChoice
{
    public static bool Apply(Vector128<float> source, ref uint mxcsr, out Vector128<int> result) =>
        SseFloat.CvtPs2Dq(source, TRounding.Truncate, ref mxcsr, out result);
}

/// <summary>CVTPD2DQ, CVTTPD2DQ: the high half becomes zero.</summary>
internal readonly struct DoublesToIntegers<TRounding> : IFloatConversion<Vector128<double>, Vector128<ulong>>
    where TRounding : struct, IRoundingChoice
{
    public static bool Apply(Vector128<double> source, ref uint mxcsr, out Vector128<ulong> result)
    {
        bool ok = SseFloat.CvtPd2Dq(source, TRounding.Truncate, ref mxcsr, out ulong value);
        result = Vector128.CreateScalar(value);
        return ok;
    }
}

/// <summary>CVTPD2PI, CVTTPD2PI.</summary>
internal readonly struct DoublesToMmx<TRounding> : IFloatConversion<Vector128<double>, ulong>
    where TRounding : struct, IRoundingChoice
{
    public static bool Apply(Vector128<double> source, ref uint mxcsr, out ulong result) =>
        SseFloat.CvtPd2Dq(source, TRounding.Truncate, ref mxcsr, out result);
}

/// <summary>CVTPS2PI, CVTTPS2PI.</summary>
internal readonly struct SinglesToMmx<TRounding> : IFloatConversion<ulong, ulong>
    where TRounding : struct, IRoundingChoice
{
    public static bool Apply(ulong source, ref uint mxcsr, out ulong result) =>
        SseFloat.CvtPs2Pi(source, TRounding.Truncate, ref mxcsr, out result);
}
