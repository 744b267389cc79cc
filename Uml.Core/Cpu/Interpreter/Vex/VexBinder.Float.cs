using System.Runtime.Intrinsics;
using Iced.Intel;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Interpreter.Simd;

namespace Uml.Core.Cpu.Interpreter.Vex;

/// <summary>VEX forms of floating-point instructions, FMA and F16C.</summary>
// SAFETY: as in VexBinder.cs.
internal static unsafe partial class VexBinder
{
    /// <summary>Packed arithmetic.</summary>
    private static Handler BindVexPackedFloat(in Instruction instruction, Op* op) => instruction.Mnemonic switch
    {
        Mnemonic.Vaddps => VexPackedFloat<AddFloat, float>(in instruction),
        Mnemonic.Vaddpd => VexPackedFloat<AddFloat, double>(in instruction),
        Mnemonic.Vsubps => VexPackedFloat<SubFloat, float>(in instruction),
        Mnemonic.Vsubpd => VexPackedFloat<SubFloat, double>(in instruction),
        Mnemonic.Vmulps => VexPackedFloat<MulFloat, float>(in instruction),
        Mnemonic.Vmulpd => VexPackedFloat<MulFloat, double>(in instruction),
        Mnemonic.Vdivps => VexPackedFloat<DivFloat, float>(in instruction),
        Mnemonic.Vdivpd => VexPackedFloat<DivFloat, double>(in instruction),
        Mnemonic.Vminps => VexPackedFloat<MinFloat, float>(in instruction),
        Mnemonic.Vminpd => VexPackedFloat<MinFloat, double>(in instruction),
        Mnemonic.Vmaxps => VexPackedFloat<MaxFloat, float>(in instruction),
        Mnemonic.Vmaxpd => VexPackedFloat<MaxFloat, double>(in instruction),
        Mnemonic.Vsqrtps => VexPackedFloat<SqrtFloat, float>(in instruction),
        Mnemonic.Vsqrtpd => VexPackedFloat<SqrtFloat, double>(in instruction),
        Mnemonic.Vcmpps => VexPackedFloat<VexCmpFloat, float>(in instruction),
        Mnemonic.Vcmppd => VexPackedFloat<VexCmpFloat, double>(in instruction),
        Mnemonic.Vroundps => VexPackedFloat<RoundFloat, float>(in instruction),
        Mnemonic.Vroundpd => VexPackedFloat<RoundFloat, double>(in instruction),
        Mnemonic.Vhaddps => VexPackedFloat<HaddFloat, float>(in instruction),
        Mnemonic.Vhaddpd => VexPackedFloat<HaddFloat, double>(in instruction),
        Mnemonic.Vhsubps => VexPackedFloat<HsubFloat, float>(in instruction),
        Mnemonic.Vhsubpd => VexPackedFloat<HsubFloat, double>(in instruction),
        Mnemonic.Vaddsubps => VexPackedFloat<AddSubFloat, float>(in instruction),
        Mnemonic.Vaddsubpd => VexPackedFloat<AddSubFloat, double>(in instruction),
        Mnemonic.Vdpps => instruction.Op0Register.IsYMM() ? VexDotProduct(in instruction) : VexPackedFloat<DotProductFloat, float>(in instruction),
        Mnemonic.Vdppd => VexPackedFloat<DotProductFloat, double>(in instruction),
        Mnemonic.Vrcpps => VexPackedFloat<RcpFloat, float>(in instruction),
        Mnemonic.Vrsqrtps => VexPackedFloat<RsqrtFloat, float>(in instruction),
        _ => BindVexScalarFloat(in instruction, op),
    };

    /// <summary>Scalar arithmetic.</summary>
    private static Handler BindVexScalarFloat(in Instruction instruction, Op* op) => instruction.Mnemonic switch
    {
        Mnemonic.Vaddss => VexScalarFloat<AddFloat, uint>(in instruction),
        Mnemonic.Vaddsd => VexScalarFloat<AddFloat, ulong>(in instruction),
        Mnemonic.Vsubss => VexScalarFloat<SubFloat, uint>(in instruction),
        Mnemonic.Vsubsd => VexScalarFloat<SubFloat, ulong>(in instruction),
        Mnemonic.Vmulss => VexScalarFloat<MulFloat, uint>(in instruction),
        Mnemonic.Vmulsd => VexScalarFloat<MulFloat, ulong>(in instruction),
        Mnemonic.Vdivss => VexScalarFloat<DivFloat, uint>(in instruction),
        Mnemonic.Vdivsd => VexScalarFloat<DivFloat, ulong>(in instruction),
        Mnemonic.Vminss => VexScalarFloat<MinFloat, uint>(in instruction),
        Mnemonic.Vminsd => VexScalarFloat<MinFloat, ulong>(in instruction),
        Mnemonic.Vmaxss => VexScalarFloat<MaxFloat, uint>(in instruction),
        Mnemonic.Vmaxsd => VexScalarFloat<MaxFloat, ulong>(in instruction),
        Mnemonic.Vsqrtss => VexScalarFloat<SqrtFloat, uint>(in instruction),
        Mnemonic.Vsqrtsd => VexScalarFloat<SqrtFloat, ulong>(in instruction),
        Mnemonic.Vcmpss => VexScalarFloat<VexCmpFloat, uint>(in instruction),
        Mnemonic.Vcmpsd => VexScalarFloat<VexCmpFloat, ulong>(in instruction),
        Mnemonic.Vroundss => VexScalarFloat<RoundFloat, uint>(in instruction),
        Mnemonic.Vroundsd => VexScalarFloat<RoundFloat, ulong>(in instruction),
        Mnemonic.Vrcpss => VexScalarFloat<RcpFloat, uint>(in instruction),
        Mnemonic.Vrsqrtss => VexScalarFloat<RsqrtFloat, uint>(in instruction),
        Mnemonic.Vucomiss => SimdBinder.Compare<QuietCompare, uint>(in instruction),
        Mnemonic.Vucomisd => SimdBinder.Compare<QuietCompare, ulong>(in instruction),
        Mnemonic.Vcomiss => SimdBinder.Compare<SignalingCompare, uint>(in instruction),
        Mnemonic.Vcomisd => SimdBinder.Compare<SignalingCompare, ulong>(in instruction),
        _ => BindVexConvert(in instruction, op),
    };

    /// <summary>Conversions between floating-point formats and from integers.</summary>
    private static Handler BindVexConvert(in Instruction instruction, Op* op) => instruction.Mnemonic switch
    {
        Mnemonic.Vcvtss2sd => VexMerge<SingleToDouble, uint, ulong>(in instruction),
        Mnemonic.Vcvtsd2ss => VexMerge<DoubleToSingle, ulong, float>(in instruction),
        Mnemonic.Vcvtps2pd => VexConvert<SinglesToDoubles, ulong, Vector128<double>>(in instruction),
        Mnemonic.Vcvtpd2ps => VexConvertNarrow<DoublesToSingles, Vector128<float>>(in instruction),
        Mnemonic.Vcvtdq2ps => VexConvert<IntegersToSingles, Vector128<int>, Vector128<float>>(in instruction),
        Mnemonic.Vcvtps2dq => VexConvert<SinglesToIntegers<Rounding>, Vector128<float>, Vector128<int>>(in instruction),
        Mnemonic.Vcvttps2dq => VexConvert<SinglesToIntegers<Truncating>, Vector128<float>, Vector128<int>>(in instruction),
        Mnemonic.Vcvtdq2pd => VexConvert<IntegersToDoubles, ulong, Vector128<double>>(in instruction),
        Mnemonic.Vcvtpd2dq => VexConvertNarrow<DoublesToIntegers<Rounding>, Vector128<ulong>>(in instruction),
        Mnemonic.Vcvttpd2dq => VexConvertNarrow<DoublesToIntegers<Truncating>, Vector128<ulong>>(in instruction),
        Mnemonic.Vcvtph2ps => VexConvert<HalvesToSingles, ulong, Vector128<float>>(in instruction),
        Mnemonic.Vcvtps2ph => VexToHalves(in instruction, op),
        _ => BindVexConvertScalar(in instruction, op),
    };

    /// <summary>Conversions between scalars and general registers.</summary>
    private static Handler BindVexConvertScalar(in Instruction instruction, Op* op) => instruction.Code switch
    {
        Code.VEX_Vcvtsi2ss_xmm_xmm_rm32 => VexMerge<Int32ToSingle, int, float>(in instruction),
        Code.VEX_Vcvtsi2ss_xmm_xmm_rm64 => VexMerge<Int64ToSingle, long, float>(in instruction),
        Code.VEX_Vcvtsi2sd_xmm_xmm_rm32 => VexMerge<Int32ToDouble, int, ulong>(in instruction),
        Code.VEX_Vcvtsi2sd_xmm_xmm_rm64 => VexMerge<Int64ToDouble, long, ulong>(in instruction),
        Code.VEX_Vcvttss2si_r32_xmmm32 => SimdBinder.Convert<SingleToInt32<Truncating>, uint, uint>(in instruction),
        Code.VEX_Vcvttss2si_r64_xmmm32 => SimdBinder.Convert<SingleToInt64<Truncating>, uint, ulong>(in instruction),
        Code.VEX_Vcvttsd2si_r32_xmmm64 => SimdBinder.Convert<DoubleToInt32<Truncating>, ulong, uint>(in instruction),
        Code.VEX_Vcvttsd2si_r64_xmmm64 => SimdBinder.Convert<DoubleToInt64<Truncating>, ulong, ulong>(in instruction),
        Code.VEX_Vcvtss2si_r32_xmmm32 => SimdBinder.Convert<SingleToInt32<Rounding>, uint, uint>(in instruction),
        Code.VEX_Vcvtss2si_r64_xmmm32 => SimdBinder.Convert<SingleToInt64<Rounding>, uint, ulong>(in instruction),
        Code.VEX_Vcvtsd2si_r32_xmmm64 => SimdBinder.Convert<DoubleToInt32<Rounding>, ulong, uint>(in instruction),
        Code.VEX_Vcvtsd2si_r64_xmmm64 => SimdBinder.Convert<DoubleToInt64<Rounding>, ulong, ulong>(in instruction),
        _ => BindFused(in instruction, op),
    };
}
