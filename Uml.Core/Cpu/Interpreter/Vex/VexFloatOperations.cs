using System.Runtime.Intrinsics;
using Uml.Core.Cpu.Interpreter.Simd;
using Uml.Core.Cpu.Semantics.Float;

namespace Uml.Core.Cpu.Interpreter.Vex;

/// <summary>VCMPPS, VCMPPD, VCMPSS, VCMPSD: as the legacy forms, with 32 predicates.</summary>
internal readonly struct VexCmpFloat : IFloatFamily
{
    private const byte PredicateMask = 0x1F;

    public static bool Apply(Vector128<float> a, Vector128<float> b, byte immediate, ref uint mxcsr, out Vector128<float> result) =>
        SseFloat.CmpPs(a, b, (byte)(immediate & PredicateMask), ref mxcsr, out result);

    public static bool Apply(Vector128<double> a, Vector128<double> b, byte immediate, ref uint mxcsr, out Vector128<double> result) =>
        SseFloat.CmpPd(a, b, (byte)(immediate & PredicateMask), ref mxcsr, out result);

    public static bool Apply(uint a, uint b, byte immediate, ref uint mxcsr, out uint result) =>
        SseFloat.CmpSs(a, b, (byte)(immediate & PredicateMask), ref mxcsr, out result);

    public static bool Apply(ulong a, ulong b, byte immediate, ref uint mxcsr, out ulong result) =>
        SseFloat.CmpSd(a, b, (byte)(immediate & PredicateMask), ref mxcsr, out result);
}
