using System.Runtime.Intrinsics;
using Iced.Intel;

namespace Uml.Core.Cpu.Interpreter.Simd;

// SAFETY: as in SimdBinder.cs; a conversion is bound with the types of its form's operands.
internal static unsafe partial class SimdBinder
{
    /// <summary>0F 50 to 0F 5F: arithmetic and conversions between formats.</summary>
    private static Handler BindFloatArithmetic(in Instruction instruction) => instruction.Mnemonic switch
    {
        Mnemonic.Sqrtps or Mnemonic.Sqrtpd or Mnemonic.Sqrtss or Mnemonic.Sqrtsd => Family<SqrtFloat>(in instruction),
        Mnemonic.Addps or Mnemonic.Addpd or Mnemonic.Addss or Mnemonic.Addsd => Family<AddFloat>(in instruction),
        Mnemonic.Mulps or Mnemonic.Mulpd or Mnemonic.Mulss or Mnemonic.Mulsd => Family<MulFloat>(in instruction),
        Mnemonic.Subps or Mnemonic.Subpd or Mnemonic.Subss or Mnemonic.Subsd => Family<SubFloat>(in instruction),
        Mnemonic.Minps or Mnemonic.Minpd or Mnemonic.Minss or Mnemonic.Minsd => Family<MinFloat>(in instruction),
        Mnemonic.Divps or Mnemonic.Divpd or Mnemonic.Divss or Mnemonic.Divsd => Family<DivFloat>(in instruction),
        Mnemonic.Maxps or Mnemonic.Maxpd or Mnemonic.Maxss or Mnemonic.Maxsd => Family<MaxFloat>(in instruction),
        Mnemonic.Rsqrtps => PackedFloat<RsqrtFloat, float>(in instruction),
        Mnemonic.Rsqrtss => ScalarFloat<RsqrtFloat, uint>(in instruction),
        Mnemonic.Rcpps => PackedFloat<RcpFloat, float>(in instruction),
        Mnemonic.Rcpss => ScalarFloat<RcpFloat, uint>(in instruction),
        _ => BindFloatFormat(in instruction),
    };

    /// <summary>0F 5A and 0F 5B.</summary>
    private static Handler BindFloatFormat(in Instruction instruction) => instruction.Mnemonic switch
    {
        Mnemonic.Cvtps2pd => Convert<SinglesToDoubles, ulong, Vector128<double>>(in instruction),
        Mnemonic.Cvtpd2ps => Convert<DoublesToSingles, Vector128<double>, Vector128<float>>(in instruction),
        Mnemonic.Cvtss2sd => Convert<SingleToDouble, uint, ulong>(in instruction),
        Mnemonic.Cvtsd2ss => Convert<DoubleToSingle, ulong, float>(in instruction),
        Mnemonic.Cvtdq2ps => Convert<IntegersToSingles, Vector128<int>, Vector128<float>>(in instruction),
        Mnemonic.Cvtps2dq => Convert<SinglesToIntegers<Rounding>, Vector128<float>, Vector128<int>>(in instruction),
        Mnemonic.Cvttps2dq => Convert<SinglesToIntegers<Truncating>, Vector128<float>, Vector128<int>>(in instruction),
        _ => null,
    };

    /// <summary>0F 2A to 0F 2F: conversions from and to integers, comparisons to flags.</summary>
    private static Handler BindFloatConvert(in Instruction instruction) => instruction.Code switch
    {
        Code.Cvtsi2ss_xmm_rm32 => Convert<Int32ToSingle, int, float>(in instruction),
        Code.Cvtsi2ss_xmm_rm64 => Convert<Int64ToSingle, long, float>(in instruction),
        Code.Cvtsi2sd_xmm_rm32 => Convert<Int32ToDouble, int, ulong>(in instruction),
        Code.Cvtsi2sd_xmm_rm64 => Convert<Int64ToDouble, long, ulong>(in instruction),
        Code.Cvttss2si_r32_xmmm32 => Convert<SingleToInt32<Truncating>, uint, uint>(in instruction),
        Code.Cvttss2si_r64_xmmm32 => Convert<SingleToInt64<Truncating>, uint, ulong>(in instruction),
        Code.Cvttsd2si_r32_xmmm64 => Convert<DoubleToInt32<Truncating>, ulong, uint>(in instruction),
        Code.Cvttsd2si_r64_xmmm64 => Convert<DoubleToInt64<Truncating>, ulong, ulong>(in instruction),
        Code.Cvtss2si_r32_xmmm32 => Convert<SingleToInt32<Rounding>, uint, uint>(in instruction),
        Code.Cvtss2si_r64_xmmm32 => Convert<SingleToInt64<Rounding>, uint, ulong>(in instruction),
        Code.Cvtsd2si_r32_xmmm64 => Convert<DoubleToInt32<Rounding>, ulong, uint>(in instruction),
        Code.Cvtsd2si_r64_xmmm64 => Convert<DoubleToInt64<Rounding>, ulong, ulong>(in instruction),
        Code.Ucomiss_xmm_xmmm32 => Compare<QuietCompare, uint>(in instruction),
        Code.Ucomisd_xmm_xmmm64 => Compare<QuietCompare, ulong>(in instruction),
        Code.Comiss_xmm_xmmm32 => Compare<SignalingCompare, uint>(in instruction),
        Code.Comisd_xmm_xmmm64 => Compare<SignalingCompare, ulong>(in instruction),
        _ => BindMmxConvert(in instruction),
    };

    private static Handler BindMmxConvert(in Instruction instruction) => instruction.Code switch
    {
        Code.Cvtpi2ps_xmm_mmm64 => FromMmx<MmxToSingles, ulong>(in instruction),
        Code.Cvtpi2pd_xmm_mmm64 => FromMmx<IntegersToDoubles, Vector128<double>>(in instruction),
        Code.Cvttps2pi_mm_xmmm64 => ToMmx<SinglesToMmx<Truncating>, ulong>(in instruction),
        Code.Cvttpd2pi_mm_xmmm128 => ToMmx<DoublesToMmx<Truncating>, Vector128<double>>(in instruction),
        Code.Cvtps2pi_mm_xmmm64 => ToMmx<SinglesToMmx<Rounding>, ulong>(in instruction),
        Code.Cvtpd2pi_mm_xmmm128 => ToMmx<DoublesToMmx<Rounding>, Vector128<double>>(in instruction),
        _ => null,
    };

    /// <summary>0F 7C, 0F 7D, 0F C2, 0F D0, 0F E6.</summary>
    private static Handler BindFloatMisc(in Instruction instruction) => instruction.Code switch
    {
        Code.Cmpps_xmm_xmmm128_imm8 or Code.Cmppd_xmm_xmmm128_imm8 or Code.Cmpss_xmm_xmmm32_imm8 or Code.Cmpsd_xmm_xmmm64_imm8 =>
            Family<CmpFloat>(in instruction),
        Code.Haddps_xmm_xmmm128 => PackedFloat<HaddFloat, float>(in instruction),
        Code.Haddpd_xmm_xmmm128 => PackedFloat<HaddFloat, double>(in instruction),
        Code.Hsubps_xmm_xmmm128 => PackedFloat<HsubFloat, float>(in instruction),
        Code.Hsubpd_xmm_xmmm128 => PackedFloat<HsubFloat, double>(in instruction),
        Code.Addsubps_xmm_xmmm128 => PackedFloat<AddSubFloat, float>(in instruction),
        Code.Addsubpd_xmm_xmmm128 => PackedFloat<AddSubFloat, double>(in instruction),
        Code.Cvttpd2dq_xmm_xmmm128 => Convert<DoublesToIntegers<Truncating>, Vector128<double>, Vector128<ulong>>(in instruction),
        Code.Cvtpd2dq_xmm_xmmm128 => Convert<DoublesToIntegers<Rounding>, Vector128<double>, Vector128<ulong>>(in instruction),
        Code.Cvtdq2pd_xmm_xmmm64 => Convert<IntegersToDoubles, ulong, Vector128<double>>(in instruction),
        Code.Roundps_xmm_xmmm128_imm8 or Code.Roundpd_xmm_xmmm128_imm8 or Code.Roundss_xmm_xmmm32_imm8 or Code.Roundsd_xmm_xmmm64_imm8 =>
            Family<RoundFloat>(in instruction),
        Code.Dpps_xmm_xmmm128_imm8 => PackedFloat<DotProductFloat, float>(in instruction),
        Code.Dppd_xmm_xmmm128_imm8 => PackedFloat<DotProductFloat, double>(in instruction),
        _ => null,
    };

    /// <summary>The form that the mnemonic's suffix names.</summary>
    private static Handler Family<TOperation>(in Instruction instruction)
        where TOperation : struct, IFloatFamily => FormOf(instruction.Mnemonic) switch
        {
            FloatForm.PackedSingle => PackedFloat<TOperation, float>(in instruction),
            FloatForm.PackedDouble => PackedFloat<TOperation, double>(in instruction),
            FloatForm.ScalarSingle => ScalarFloat<TOperation, uint>(in instruction),
            _ => ScalarFloat<TOperation, ulong>(in instruction),
        };

    private enum FloatForm
    {
        PackedSingle,
        PackedDouble,
        ScalarSingle,
        ScalarDouble,
    }

    private static FloatForm FormOf(Mnemonic mnemonic) => mnemonic switch
    {
        Mnemonic.Addps or Mnemonic.Subps or Mnemonic.Mulps or Mnemonic.Divps or Mnemonic.Minps or Mnemonic.Maxps or Mnemonic.Sqrtps
            or Mnemonic.Cmpps or Mnemonic.Roundps => FloatForm.PackedSingle,
        Mnemonic.Addpd or Mnemonic.Subpd or Mnemonic.Mulpd or Mnemonic.Divpd or Mnemonic.Minpd or Mnemonic.Maxpd or Mnemonic.Sqrtpd
            or Mnemonic.Cmppd or Mnemonic.Roundpd => FloatForm.PackedDouble,
        Mnemonic.Addss or Mnemonic.Subss or Mnemonic.Mulss or Mnemonic.Divss or Mnemonic.Minss or Mnemonic.Maxss or Mnemonic.Sqrtss
            or Mnemonic.Cmpss or Mnemonic.Roundss => FloatForm.ScalarSingle,
        _ => FloatForm.ScalarDouble,
    };

    private static Handler PackedFloat<TOperation, T>(in Instruction instruction)
        where TOperation : struct, IPackedFloat<T>
        where T : unmanaged => instruction.Op1Kind == OpKind.Memory
            ? &PackedFloatHandlers<TOperation, T>.Memory
            : &PackedFloatHandlers<TOperation, T>.Register;

    private static Handler ScalarFloat<TOperation, T>(in Instruction instruction)
        where TOperation : struct, IScalarFloat<T>
        where T : unmanaged => instruction.Op1Kind == OpKind.Memory
            ? &ScalarFloatHandlers<TOperation, T>.Memory
            : &ScalarFloatHandlers<TOperation, T>.Register;

    public static Handler Compare<TOperation, T>(in Instruction instruction)
        where TOperation : struct, IFloatCompare<T>
        where T : unmanaged => instruction.Op1Kind == OpKind.Memory
            ? &FloatCompareHandlers<TOperation, T>.Memory
            : &FloatCompareHandlers<TOperation, T>.Register;

    public static Handler Convert<TOperation, TFrom, TTo>(in Instruction instruction)
        where TOperation : struct, IFloatConversion<TFrom, TTo>
        where TFrom : unmanaged
        where TTo : unmanaged => instruction.Op1Kind == OpKind.Memory
            ? &ConversionHandlers<TOperation, TFrom, TTo>.Memory
            : &ConversionHandlers<TOperation, TFrom, TTo>.Register;

    private static Handler FromMmx<TOperation, TTo>(in Instruction instruction)
        where TOperation : struct, IFloatConversion<ulong, TTo>
        where TTo : unmanaged => instruction.Op1Kind == OpKind.Memory
            ? &ConversionHandlers<TOperation, ulong, TTo>.Memory
            : &ConversionHandlers<TOperation, ulong, TTo>.FromMmx;

    private static Handler ToMmx<TOperation, TFrom>(in Instruction instruction)
        where TOperation : struct, IFloatConversion<TFrom, ulong>
        where TFrom : unmanaged => instruction.Op1Kind == OpKind.Memory
            ? &ConversionHandlers<TOperation, TFrom, ulong>.MemoryToMmx
            : &ConversionHandlers<TOperation, TFrom, ulong>.ToMmx;
}
