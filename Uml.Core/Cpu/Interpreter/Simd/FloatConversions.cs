using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Uml.Core.Cpu.Semantics.Float;

namespace Uml.Core.Cpu.Interpreter.Simd;

/// <summary>CVTSS2SD.</summary>
internal readonly struct SingleToDouble : IFloatConversion<uint, ulong>
{
    public static bool Apply(uint source, ref uint mxcsr, out ulong result) => SseFloat.CvtSs2Sd(source, ref mxcsr, out result);
}

/// <summary>CVTPS2PD.</summary>
internal readonly struct SinglesToDoubles : IFloatConversion<ulong, Vector128<double>>
{
    public static bool Apply(ulong source, ref uint mxcsr, out Vector128<double> result) =>
        SseFloat.CvtPs2Pd(source, ref mxcsr, out result);
}

/// <summary>CVTPD2PS.</summary>
internal readonly struct DoublesToSingles : IFloatConversion<Vector128<double>, Vector128<float>>
{
    public static bool Apply(Vector128<double> source, ref uint mxcsr, out Vector128<float> result) =>
        SseFloat.CvtPd2Ps(source, ref mxcsr, out result);
}

/// <summary>CVTDQ2PS.</summary>
internal readonly struct IntegersToSingles : IFloatConversion<Vector128<int>, Vector128<float>>
{
    public static bool Apply(Vector128<int> source, ref uint mxcsr, out Vector128<float> result) =>
        SseFloat.CvtDq2Ps(source, ref mxcsr, out result);
}

/// <summary>CVTPI2PS: the high half of the destination stays.</summary>
internal readonly struct MmxToSingles : IFloatConversion<ulong, ulong>
{
    public static bool Apply(ulong source, ref uint mxcsr, out ulong result) => SseFloat.CvtPi2Ps(source, ref mxcsr, out result);
}

/// <summary>CVTSD2SS.</summary>
internal readonly struct DoubleToSingle : IFloatConversion<ulong, float>
{
    public static bool Apply(ulong source, ref uint mxcsr, out float result)
    {
        bool ok = SseFloat.CvtSd2Ss(source, ref mxcsr, out uint bits);
        result = Unsafe.BitCast<uint, float>(bits);
        return ok;
    }
}

/// <summary>CVTSI2SS from 32 bits.</summary>
internal readonly struct Int32ToSingle : IFloatConversion<int, float>
{
    public static bool Apply(int source, ref uint mxcsr, out float result)
    {
        bool ok = SseFloat.CvtSi2Ss(source, ref mxcsr, out uint bits);
        result = Unsafe.BitCast<uint, float>(bits);
        return ok;
    }
}

/// <summary>CVTSI2SS from 64 bits.</summary>
internal readonly struct Int64ToSingle : IFloatConversion<long, float>
{
    public static bool Apply(long source, ref uint mxcsr, out float result)
    {
        bool ok = SseFloat.CvtSi2Ss(source, ref mxcsr, out uint bits);
        result = Unsafe.BitCast<uint, float>(bits);
        return ok;
    }
}

/// <summary>CVTSI2SD from 32 bits.</summary>
internal readonly struct Int32ToDouble : IFloatConversion<int, ulong>
{
    public static bool Apply(int source, ref uint mxcsr, out ulong result) => SseFloat.CvtSi2Sd(source, ref mxcsr, out result);
}

/// <summary>CVTSI2SD from 64 bits.</summary>
internal readonly struct Int64ToDouble : IFloatConversion<long, ulong>
{
    public static bool Apply(long source, ref uint mxcsr, out ulong result) => SseFloat.CvtSi2Sd(source, ref mxcsr, out result);
}

/// <summary>CVTDQ2PD, CVTPI2PD: exact.</summary>
internal readonly struct IntegersToDoubles : IFloatConversion<ulong, Vector128<double>>
{
    public static bool Apply(ulong source, ref uint mxcsr, out Vector128<double> result)
    {
        result = SseFloat.CvtDq2Pd(source);
        return true;
    }
}
