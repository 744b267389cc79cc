using System.Runtime.Intrinsics;
using Uml.Core.Cpu.Semantics.Float;

namespace Uml.Core.Cpu.Interpreter.Simd;

/// <summary>A floating-point instruction with its four forms: PS, PD, SS, SD.</summary>
internal interface IFloatFamily : IPackedFloat<float>, IPackedFloat<double>, IScalarFloat<uint>, IScalarFloat<ulong>;

/// <summary>ADDPS, ADDPD, ADDSS, ADDSD.</summary>
internal readonly struct AddFloat : IFloatFamily
{
    public static bool Apply(Vector128<float> a, Vector128<float> b, byte immediate, ref uint mxcsr, out Vector128<float> result) =>
        SseFloat.AddPs(a, b, ref mxcsr, out result);

    public static bool Apply(Vector128<double> a, Vector128<double> b, byte immediate, ref uint mxcsr, out Vector128<double> result) =>
        SseFloat.AddPd(a, b, ref mxcsr, out result);

    public static bool Apply(uint a, uint b, byte immediate, ref uint mxcsr, out uint result) =>
        SseFloat.AddSs(a, b, ref mxcsr, out result);

    public static bool Apply(ulong a, ulong b, byte immediate, ref uint mxcsr, out ulong result) =>
        SseFloat.AddSd(a, b, ref mxcsr, out result);
}

/// <summary>SUBPS, SUBPD, SUBSS, SUBSD.</summary>
internal readonly struct SubFloat : IFloatFamily
{
    public static bool Apply(Vector128<float> a, Vector128<float> b, byte immediate, ref uint mxcsr, out Vector128<float> result) =>
        SseFloat.SubPs(a, b, ref mxcsr, out result);

    public static bool Apply(Vector128<double> a, Vector128<double> b, byte immediate, ref uint mxcsr, out Vector128<double> result) =>
        SseFloat.SubPd(a, b, ref mxcsr, out result);

    public static bool Apply(uint a, uint b, byte immediate, ref uint mxcsr, out uint result) =>
        SseFloat.SubSs(a, b, ref mxcsr, out result);

    public static bool Apply(ulong a, ulong b, byte immediate, ref uint mxcsr, out ulong result) =>
        SseFloat.SubSd(a, b, ref mxcsr, out result);
}

/// <summary>MULPS, MULPD, MULSS, MULSD.</summary>
internal readonly struct MulFloat : IFloatFamily
{
    public static bool Apply(Vector128<float> a, Vector128<float> b, byte immediate, ref uint mxcsr, out Vector128<float> result) =>
        SseFloat.MulPs(a, b, ref mxcsr, out result);

    public static bool Apply(Vector128<double> a, Vector128<double> b, byte immediate, ref uint mxcsr, out Vector128<double> result) =>
        SseFloat.MulPd(a, b, ref mxcsr, out result);

    public static bool Apply(uint a, uint b, byte immediate, ref uint mxcsr, out uint result) =>
        SseFloat.MulSs(a, b, ref mxcsr, out result);

    public static bool Apply(ulong a, ulong b, byte immediate, ref uint mxcsr, out ulong result) =>
        SseFloat.MulSd(a, b, ref mxcsr, out result);
}

/// <summary>DIVPS, DIVPD, DIVSS, DIVSD.</summary>
internal readonly struct DivFloat : IFloatFamily
{
    public static bool Apply(Vector128<float> a, Vector128<float> b, byte immediate, ref uint mxcsr, out Vector128<float> result) =>
        SseFloat.DivPs(a, b, ref mxcsr, out result);

    public static bool Apply(Vector128<double> a, Vector128<double> b, byte immediate, ref uint mxcsr, out Vector128<double> result) =>
        SseFloat.DivPd(a, b, ref mxcsr, out result);

    public static bool Apply(uint a, uint b, byte immediate, ref uint mxcsr, out uint result) =>
        SseFloat.DivSs(a, b, ref mxcsr, out result);

    public static bool Apply(ulong a, ulong b, byte immediate, ref uint mxcsr, out ulong result) =>
        SseFloat.DivSd(a, b, ref mxcsr, out result);
}

/// <summary>MINPS, MINPD, MINSS, MINSD.</summary>
internal readonly struct MinFloat : IFloatFamily
{
    public static bool Apply(Vector128<float> a, Vector128<float> b, byte immediate, ref uint mxcsr, out Vector128<float> result) =>
        SseFloat.MinPs(a, b, ref mxcsr, out result);

    public static bool Apply(Vector128<double> a, Vector128<double> b, byte immediate, ref uint mxcsr, out Vector128<double> result) =>
        SseFloat.MinPd(a, b, ref mxcsr, out result);

    public static bool Apply(uint a, uint b, byte immediate, ref uint mxcsr, out uint result) =>
        SseFloat.MinSs(a, b, ref mxcsr, out result);

    public static bool Apply(ulong a, ulong b, byte immediate, ref uint mxcsr, out ulong result) =>
        SseFloat.MinSd(a, b, ref mxcsr, out result);
}

/// <summary>MAXPS, MAXPD, MAXSS, MAXSD.</summary>
internal readonly struct MaxFloat : IFloatFamily
{
    public static bool Apply(Vector128<float> a, Vector128<float> b, byte immediate, ref uint mxcsr, out Vector128<float> result) =>
        SseFloat.MaxPs(a, b, ref mxcsr, out result);

    public static bool Apply(Vector128<double> a, Vector128<double> b, byte immediate, ref uint mxcsr, out Vector128<double> result) =>
        SseFloat.MaxPd(a, b, ref mxcsr, out result);

    public static bool Apply(uint a, uint b, byte immediate, ref uint mxcsr, out uint result) =>
        SseFloat.MaxSs(a, b, ref mxcsr, out result);

    public static bool Apply(ulong a, ulong b, byte immediate, ref uint mxcsr, out ulong result) =>
        SseFloat.MaxSd(a, b, ref mxcsr, out result);
}

/// <summary>SQRTPS, SQRTPD, SQRTSS, SQRTSD: of the source.</summary>
internal readonly struct SqrtFloat : IFloatFamily
{
    public static bool Apply(Vector128<float> a, Vector128<float> b, byte immediate, ref uint mxcsr, out Vector128<float> result) =>
        SseFloat.SqrtPs(b, ref mxcsr, out result);

    public static bool Apply(Vector128<double> a, Vector128<double> b, byte immediate, ref uint mxcsr, out Vector128<double> result) =>
        SseFloat.SqrtPd(b, ref mxcsr, out result);

    public static bool Apply(uint a, uint b, byte immediate, ref uint mxcsr, out uint result) => SseFloat.SqrtSs(b, ref mxcsr, out result);

    public static bool Apply(ulong a, ulong b, byte immediate, ref uint mxcsr, out ulong result) =>
        SseFloat.SqrtSd(b, ref mxcsr, out result);
}

/// <summary>CMPPS, CMPPD, CMPSS, CMPSD: bits 2 to 0 of the immediate choose the predicate.</summary>
internal readonly struct CmpFloat : IFloatFamily
{
    public static bool Apply(Vector128<float> a, Vector128<float> b, byte immediate, ref uint mxcsr, out Vector128<float> result) =>
        SseFloat.CmpPs(a, b, (byte)(immediate & 7), ref mxcsr, out result);

    public static bool Apply(Vector128<double> a, Vector128<double> b, byte immediate, ref uint mxcsr, out Vector128<double> result) =>
        SseFloat.CmpPd(a, b, (byte)(immediate & 7), ref mxcsr, out result);

    public static bool Apply(uint a, uint b, byte immediate, ref uint mxcsr, out uint result) =>
        SseFloat.CmpSs(a, b, (byte)(immediate & 7), ref mxcsr, out result);

    public static bool Apply(ulong a, ulong b, byte immediate, ref uint mxcsr, out ulong result) =>
        SseFloat.CmpSd(a, b, (byte)(immediate & 7), ref mxcsr, out result);
}

/// <summary>ROUNDPS, ROUNDPD, ROUNDSS, ROUNDSD: of the source.</summary>
internal readonly struct RoundFloat : IFloatFamily
{
    public static bool Apply(Vector128<float> a, Vector128<float> b, byte immediate, ref uint mxcsr, out Vector128<float> result) =>
        SseFloat.RoundPs(b, immediate, ref mxcsr, out result);

    public static bool Apply(Vector128<double> a, Vector128<double> b, byte immediate, ref uint mxcsr, out Vector128<double> result) =>
        SseFloat.RoundPd(b, immediate, ref mxcsr, out result);

    public static bool Apply(uint a, uint b, byte immediate, ref uint mxcsr, out uint result) =>
        SseFloat.RoundSs(b, immediate, ref mxcsr, out result);

    public static bool Apply(ulong a, ulong b, byte immediate, ref uint mxcsr, out ulong result) =>
        SseFloat.RoundSd(b, immediate, ref mxcsr, out result);
}
