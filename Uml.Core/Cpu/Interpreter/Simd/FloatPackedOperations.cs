using System.Runtime.Intrinsics;
using Uml.Core.Cpu.Semantics.Float;

namespace Uml.Core.Cpu.Interpreter.Simd;

/// <summary>ADDSUBPS, ADDSUBPD.</summary>
internal readonly struct AddSubFloat : IPackedFloat<float>, IPackedFloat<double>
{
    public static bool Apply(Vector128<float> a, Vector128<float> b, byte immediate, ref uint mxcsr, out Vector128<float> result) =>
        SseFloat.AddSubPs(a, b, ref mxcsr, out result);

    public static bool Apply(Vector128<double> a, Vector128<double> b, byte immediate, ref uint mxcsr, out Vector128<double> result) =>
        SseFloat.AddSubPd(a, b, ref mxcsr, out result);
}

/// <summary>HADDPS, HADDPD.</summary>
internal readonly struct HaddFloat : IPackedFloat<float>, IPackedFloat<double>
{
    public static bool Apply(Vector128<float> a, Vector128<float> b, byte immediate, ref uint mxcsr, out Vector128<float> result) =>
        SseFloat.HaddPs(a, b, ref mxcsr, out result);

    public static bool Apply(Vector128<double> a, Vector128<double> b, byte immediate, ref uint mxcsr, out Vector128<double> result) =>
        SseFloat.HaddPd(a, b, ref mxcsr, out result);
}

/// <summary>HSUBPS, HSUBPD.</summary>
internal readonly struct HsubFloat : IPackedFloat<float>, IPackedFloat<double>
{
    public static bool Apply(Vector128<float> a, Vector128<float> b, byte immediate, ref uint mxcsr, out Vector128<float> result) =>
        SseFloat.HsubPs(a, b, ref mxcsr, out result);

    public static bool Apply(Vector128<double> a, Vector128<double> b, byte immediate, ref uint mxcsr, out Vector128<double> result) =>
        SseFloat.HsubPd(a, b, ref mxcsr, out result);
}

/// <summary>DPPS, DPPD.</summary>
internal readonly struct DotProductFloat : IPackedFloat<float>, IPackedFloat<double>
{
    public static bool Apply(Vector128<float> a, Vector128<float> b, byte immediate, ref uint mxcsr, out Vector128<float> result) =>
        SseFloat.DpPs(a, b, immediate, ref mxcsr, out result);

    public static bool Apply(Vector128<double> a, Vector128<double> b, byte immediate, ref uint mxcsr, out Vector128<double> result) =>
        SseFloat.DpPd(a, b, immediate, ref mxcsr, out result);
}

/// <summary>RCPPS, RCPSS: raises nothing.</summary>
internal readonly struct RcpFloat : IPackedFloat<float>, IScalarFloat<uint>
{
    public static bool Apply(Vector128<float> a, Vector128<float> b, byte immediate, ref uint mxcsr, out Vector128<float> result)
    {
        result = SseFloat.RcpPs(b);
        return true;
    }

    public static bool Apply(uint a, uint b, byte immediate, ref uint mxcsr, out uint result)
    {
        result = SseFloat.RcpSs(b);
        return true;
    }
}

/// <summary>RSQRTPS, RSQRTSS: raises nothing.</summary>
internal readonly struct RsqrtFloat : IPackedFloat<float>, IScalarFloat<uint>
{
    public static bool Apply(Vector128<float> a, Vector128<float> b, byte immediate, ref uint mxcsr, out Vector128<float> result)
    {
        result = SseFloat.RsqrtPs(b);
        return true;
    }

    public static bool Apply(uint a, uint b, byte immediate, ref uint mxcsr, out uint result)
    {
        result = SseFloat.RsqrtSs(b);
        return true;
    }
}
