using Iced.Intel;
using Uml.Core.Cpu.Semantics.Simd;

namespace Uml.Core.Cpu.Interpreter.Vex;

/// <summary>VEX forms of integer instructions, shuffles and permutations.</summary>
// SAFETY: as in VexBinder.cs.
internal static unsafe partial class VexBinder
{
    /// <summary>Sums, differences and logic.</summary>
    private static Handler BindVexAdd(in Instruction instruction) => instruction.Mnemonic switch
    {
        Mnemonic.Vandps => VexBinary<PackedAnd>(in instruction),
        Mnemonic.Vandpd => VexBinary<PackedAnd>(in instruction),
        Mnemonic.Vandnps => VexBinary<PackedAndNot>(in instruction),
        Mnemonic.Vandnpd => VexBinary<PackedAndNot>(in instruction),
        Mnemonic.Vorps => VexBinary<PackedOr>(in instruction),
        Mnemonic.Vorpd => VexBinary<PackedOr>(in instruction),
        Mnemonic.Vxorps => VexBinary<PackedXor>(in instruction),
        Mnemonic.Vxorpd => VexBinary<PackedXor>(in instruction),
        Mnemonic.Vpaddb => VexBinary<PackedAdd<byte>>(in instruction),
        Mnemonic.Vpaddw => VexBinary<PackedAdd<ushort>>(in instruction),
        Mnemonic.Vpaddd => VexBinary<PackedAdd<uint>>(in instruction),
        Mnemonic.Vpaddq => VexBinary<PackedAdd<ulong>>(in instruction),
        Mnemonic.Vpsubb => VexBinary<PackedSubtract<byte>>(in instruction),
        Mnemonic.Vpsubw => VexBinary<PackedSubtract<ushort>>(in instruction),
        Mnemonic.Vpsubd => VexBinary<PackedSubtract<uint>>(in instruction),
        Mnemonic.Vpsubq => VexBinary<PackedSubtract<ulong>>(in instruction),
        Mnemonic.Vpand => VexBinary<PackedAnd>(in instruction),
        Mnemonic.Vpandn => VexBinary<PackedAndNot>(in instruction),
        Mnemonic.Vpor => VexBinary<PackedOr>(in instruction),
        Mnemonic.Vpxor => VexBinary<PackedXor>(in instruction),
        Mnemonic.Vpaddsb => VexBinary<PackedAddSaturating<sbyte>>(in instruction),
        Mnemonic.Vpaddsw => VexBinary<PackedAddSaturating<short>>(in instruction),
        Mnemonic.Vpaddusb => VexBinary<PackedAddSaturating<byte>>(in instruction),
        Mnemonic.Vpaddusw => VexBinary<PackedAddSaturating<ushort>>(in instruction),
        Mnemonic.Vpsubsb => VexBinary<PackedSubtractSaturating<sbyte>>(in instruction),
        Mnemonic.Vpsubsw => VexBinary<PackedSubtractSaturating<short>>(in instruction),
        Mnemonic.Vpsubusb => VexBinary<PackedSubtractSaturating<byte>>(in instruction),
        Mnemonic.Vpsubusw => VexBinary<PackedSubtractSaturating<ushort>>(in instruction),
        _ => BindVexCompare(in instruction),
    };

    /// <summary>Comparisons, minima, maxima and signs.</summary>
    private static Handler BindVexCompare(in Instruction instruction) => instruction.Mnemonic switch
    {
        Mnemonic.Vpsignb => VexBinary<PackedSign<sbyte>>(in instruction),
        Mnemonic.Vpsignw => VexBinary<PackedSign<short>>(in instruction),
        Mnemonic.Vpsignd => VexBinary<PackedSign<int>>(in instruction),
        Mnemonic.Vpabsb => VexBinary<PackedAbsolute<sbyte>>(in instruction),
        Mnemonic.Vpabsw => VexBinary<PackedAbsolute<short>>(in instruction),
        Mnemonic.Vpabsd => VexBinary<PackedAbsolute<int>>(in instruction),
        Mnemonic.Vpcmpeqq => VexBinary<PackedEqual<ulong>>(in instruction),
        Mnemonic.Vpcmpgtq => VexBinary<PackedGreater<long>>(in instruction),
        Mnemonic.Vpminsb => VexBinary<PackedMinimum<sbyte>>(in instruction),
        Mnemonic.Vpminsd => VexBinary<PackedMinimum<int>>(in instruction),
        Mnemonic.Vpminuw => VexBinary<PackedMinimum<ushort>>(in instruction),
        Mnemonic.Vpminud => VexBinary<PackedMinimum<uint>>(in instruction),
        Mnemonic.Vpmaxsb => VexBinary<PackedMaximum<sbyte>>(in instruction),
        Mnemonic.Vpmaxsd => VexBinary<PackedMaximum<int>>(in instruction),
        Mnemonic.Vpmaxuw => VexBinary<PackedMaximum<ushort>>(in instruction),
        Mnemonic.Vpmaxud => VexBinary<PackedMaximum<uint>>(in instruction),
        Mnemonic.Vpcmpgtb => VexBinary<PackedGreater<sbyte>>(in instruction),
        Mnemonic.Vpcmpgtw => VexBinary<PackedGreater<short>>(in instruction),
        Mnemonic.Vpcmpgtd => VexBinary<PackedGreater<int>>(in instruction),
        Mnemonic.Vpcmpeqb => VexBinary<PackedEqual<byte>>(in instruction),
        Mnemonic.Vpcmpeqw => VexBinary<PackedEqual<ushort>>(in instruction),
        Mnemonic.Vpcmpeqd => VexBinary<PackedEqual<uint>>(in instruction),
        Mnemonic.Vpminub => VexBinary<PackedMinimum<byte>>(in instruction),
        Mnemonic.Vpminsw => VexBinary<PackedMinimum<short>>(in instruction),
        Mnemonic.Vpmaxub => VexBinary<PackedMaximum<byte>>(in instruction),
        Mnemonic.Vpmaxsw => VexBinary<PackedMaximum<short>>(in instruction),
        _ => BindVexMultiply(in instruction),
    };

    /// <summary>Products, averages, sums within a register.</summary>
    private static Handler BindVexMultiply(in Instruction instruction) => instruction.Mnemonic switch
    {
        Mnemonic.Vpshufb => VexBinary<ShuffleBytes>(in instruction),
        Mnemonic.Vphaddw => VexBinary<HorizontalAddWords>(in instruction),
        Mnemonic.Vphaddd => VexBinary<HorizontalAddDoublewords>(in instruction),
        Mnemonic.Vphaddsw => VexBinary<HorizontalAddWordsSaturating>(in instruction),
        Mnemonic.Vphsubw => VexBinary<HorizontalSubtractWords>(in instruction),
        Mnemonic.Vphsubd => VexBinary<HorizontalSubtractDoublewords>(in instruction),
        Mnemonic.Vphsubsw => VexBinary<HorizontalSubtractWordsSaturating>(in instruction),
        Mnemonic.Vpmaddubsw => VexBinary<MultiplyAddBytes>(in instruction),
        Mnemonic.Vpmulhrsw => VexBinary<MultiplyHighRounded>(in instruction),
        Mnemonic.Vpmuldq => VexBinary<MultiplyEvenSigned>(in instruction),
        Mnemonic.Vpavgb => VexBinary<PackedAverage<byte>>(in instruction),
        Mnemonic.Vpavgw => VexBinary<PackedAverage<ushort>>(in instruction),
        Mnemonic.Vpsadbw => VexBinary<SumAbsoluteDifferences>(in instruction),
        Mnemonic.Vpmullw => VexBinary<MultiplyLow<short>>(in instruction),
        Mnemonic.Vpmulhw => VexBinary<MultiplyHigh>(in instruction),
        Mnemonic.Vpmulhuw => VexBinary<MultiplyHighUnsigned>(in instruction),
        Mnemonic.Vpmuludq => VexBinary<MultiplyEvenUnsigned>(in instruction),
        Mnemonic.Vpmaddwd => VexBinary<MultiplyAddWords>(in instruction),
        Mnemonic.Vpmulld => VexBinary<MultiplyLow<int>>(in instruction),
        Mnemonic.Vphminposuw => VexBinary<HorizontalMinimum>(in instruction),
        _ => BindVexUnpack(in instruction),
    };

    /// <summary>Packing and unpacking.</summary>
    private static Handler BindVexUnpack(in Instruction instruction) => instruction.Mnemonic switch
    {
        Mnemonic.Vpackusdw => VexBinary<PackUnsignedDoublewords>(in instruction),
        Mnemonic.Vpunpcklbw => VexBinary<UnpackLow<byte>>(in instruction),
        Mnemonic.Vpunpcklwd => VexBinary<UnpackLow<ushort>>(in instruction),
        Mnemonic.Vpunpckldq => VexBinary<UnpackLow<uint>>(in instruction),
        Mnemonic.Vpunpcklqdq => VexBinary<UnpackLow<ulong>>(in instruction),
        Mnemonic.Vpunpckhbw => VexBinary<UnpackHigh<byte>>(in instruction),
        Mnemonic.Vpunpckhwd => VexBinary<UnpackHigh<ushort>>(in instruction),
        Mnemonic.Vpunpckhdq => VexBinary<UnpackHigh<uint>>(in instruction),
        Mnemonic.Vpunpckhqdq => VexBinary<UnpackHigh<ulong>>(in instruction),
        Mnemonic.Vpacksswb => VexBinary<PackSignedWords>(in instruction),
        Mnemonic.Vpackssdw => VexBinary<PackSignedDoublewords>(in instruction),
        Mnemonic.Vpackuswb => VexBinary<PackUnsignedWords>(in instruction),
        Mnemonic.Vunpcklps => VexBinary<UnpackLow<uint>>(in instruction),
        Mnemonic.Vunpcklpd => VexBinary<UnpackLow<ulong>>(in instruction),
        Mnemonic.Vunpckhps => VexBinary<UnpackHigh<uint>>(in instruction),
        Mnemonic.Vunpckhpd => VexBinary<UnpackHigh<ulong>>(in instruction),
        Mnemonic.Vmovsldup => VexBinary<DuplicateEvenSingles>(in instruction),
        Mnemonic.Vmovshdup => VexBinary<DuplicateOddSingles>(in instruction),
        _ => BindVexShift(in instruction),
    };

    /// <summary>Shifts by one count and by a count for each element.</summary>
    private static Handler BindVexShift(in Instruction instruction) => instruction.Mnemonic switch
    {
        Mnemonic.Vpsrlw => VexShift<ShiftRightLogical<ushort>>(in instruction),
        Mnemonic.Vpsrld => VexShift<ShiftRightLogical<uint>>(in instruction),
        Mnemonic.Vpsrlq => VexShift<ShiftRightLogical<ulong>>(in instruction),
        Mnemonic.Vpsraw => VexShift<ShiftRightArithmetic<short>>(in instruction),
        Mnemonic.Vpsrad => VexShift<ShiftRightArithmetic<int>>(in instruction),
        Mnemonic.Vpsllw => VexShift<ShiftLeft<ushort>>(in instruction),
        Mnemonic.Vpslld => VexShift<ShiftLeft<uint>>(in instruction),
        Mnemonic.Vpsllq => VexShift<ShiftLeft<ulong>>(in instruction),
        Mnemonic.Vpsllvd => VexBinary<ShiftLeftVariable<uint>>(in instruction),
        Mnemonic.Vpsllvq => VexBinary<ShiftLeftVariable<ulong>>(in instruction),
        Mnemonic.Vpsrlvd => VexBinary<ShiftRightLogicalVariable<uint>>(in instruction),
        Mnemonic.Vpsrlvq => VexBinary<ShiftRightLogicalVariable<ulong>>(in instruction),
        Mnemonic.Vpsravd => VexBinary<ShiftRightArithmeticVariable<int>>(in instruction),
        _ => BindVexImmediate(in instruction),
    };

    /// <summary>What has an immediate byte, or crosses lanes.</summary>
    private static Handler BindVexImmediate(in Instruction instruction) => instruction.Mnemonic switch
    {
        Mnemonic.Vpslldq => VexImmediate<ShiftLeftBytes>(in instruction),
        Mnemonic.Vpsrldq => VexImmediate<ShiftRightBytes>(in instruction),
        Mnemonic.Vpshufd => VexImmediate<ShuffleDoublewords>(in instruction),
        Mnemonic.Vpshufhw => VexImmediate<ShuffleHighWords>(in instruction),
        Mnemonic.Vpshuflw => VexImmediate<ShuffleLowWords>(in instruction),
        Mnemonic.Vshufps => VexImmediate<ShuffleSingles>(in instruction),
        Mnemonic.Vshufpd => VexImmediate<ShuffleDoubles>(in instruction),
        Mnemonic.Vblendps => VexImmediate<BlendImmediate<uint>>(in instruction),
        Mnemonic.Vblendpd => VexImmediate<BlendImmediate<ulong>>(in instruction),
        Mnemonic.Vpblendd => VexImmediate<BlendImmediate<uint>>(in instruction),
        Mnemonic.Vpblendw => VexImmediate<BlendImmediate<ushort>>(in instruction),
        Mnemonic.Vpalignr => VexImmediate<AlignRight>(in instruction),
        Mnemonic.Vmpsadbw => VexImmediate<MultipleSumAbsoluteDifferences>(in instruction),
        Mnemonic.Vpermilps => instruction.OpCount == 3 && instruction.Op2Kind == OpKind.Immediate8
            ? VexImmediate<ShuffleDoublewords>(in instruction)
            : VexBinary<PermuteSingles>(in instruction),
        Mnemonic.Vpermilpd => instruction.OpCount == 3 && instruction.Op2Kind == OpKind.Immediate8
            ? VexImmediate<PermuteDoublesImmediate>(in instruction)
            : VexBinary<PermuteDoubles>(in instruction),
        Mnemonic.Vpermps or Mnemonic.Vpermd => VexWide<PermuteAllDoublewords>(in instruction),
        Mnemonic.Vpermpd or Mnemonic.Vpermq => VexWideImmediate<PermuteAllQuadwords>(in instruction),
        Mnemonic.Vperm2f128 or Mnemonic.Vperm2i128 => VexWideImmediate<PermuteLanes>(in instruction),
        _ => BindVexWiden(in instruction),
    };

    /// <summary>VPMOVSX.., VPMOVZX.., VMOVDDUP.</summary>
    private static Handler BindVexWiden(in Instruction instruction) => instruction.Mnemonic switch
    {
        Mnemonic.Vpmovsxbw => VexNarrow<SignExtendByteToWord, ulong>(in instruction),
        Mnemonic.Vpmovsxbd => VexNarrow<Twice<SignExtendByteToWord, SignExtendWordToDoubleword>, uint>(in instruction),
        Mnemonic.Vpmovsxbq => VexNarrow<Twice<SignExtendByteToWord, Twice<SignExtendWordToDoubleword, SignExtendDoublewordToQuadword>>, ushort>(
            in instruction),
        Mnemonic.Vpmovsxwd => VexNarrow<SignExtendWordToDoubleword, ulong>(in instruction),
        Mnemonic.Vpmovsxwq => VexNarrow<Twice<SignExtendWordToDoubleword, SignExtendDoublewordToQuadword>, uint>(in instruction),
        Mnemonic.Vpmovsxdq => VexNarrow<SignExtendDoublewordToQuadword, ulong>(in instruction),
        Mnemonic.Vpmovzxbw => VexNarrow<ZeroExtendByteToWord, ulong>(in instruction),
        Mnemonic.Vpmovzxbd => VexNarrow<Twice<ZeroExtendByteToWord, ZeroExtendWordToDoubleword>, uint>(in instruction),
        Mnemonic.Vpmovzxbq => VexNarrow<Twice<ZeroExtendByteToWord, Twice<ZeroExtendWordToDoubleword, ZeroExtendDoublewordToQuadword>>, ushort>(
            in instruction),
        Mnemonic.Vpmovzxwd => VexNarrow<ZeroExtendWordToDoubleword, ulong>(in instruction),
        Mnemonic.Vpmovzxwq => VexNarrow<Twice<ZeroExtendWordToDoubleword, ZeroExtendDoublewordToQuadword>, uint>(in instruction),
        Mnemonic.Vpmovzxdq => VexNarrow<ZeroExtendDoublewordToQuadword, ulong>(in instruction),
        Mnemonic.Vmovddup => instruction.Op0Register.IsYMM()
            ? VexBinary<DuplicateLowDouble>(in instruction)
            : VexNarrow<DuplicateLowDouble, ulong>(in instruction),
        _ => IsWide(in instruction) ? null : BindVexCryptography(in instruction),
    };

    /// <summary>AES and PCLMULQDQ, whose 256-bit forms are features of their own (VAES, VPCLMULQDQ), which the CPU model has not.</summary>
    private static Handler BindVexCryptography(in Instruction instruction) => instruction.Mnemonic switch
    {
        Mnemonic.Vaesimc => VexBinary<AesInverseMixColumns>(in instruction),
        Mnemonic.Vaesenc => VexBinary<AesEncrypt>(in instruction),
        Mnemonic.Vaesenclast => VexBinary<AesEncryptLast>(in instruction),
        Mnemonic.Vaesdec => VexBinary<AesDecrypt>(in instruction),
        Mnemonic.Vaesdeclast => VexBinary<AesDecryptLast>(in instruction),
        Mnemonic.Vpclmulqdq => VexImmediate<CarrylessMultiply>(in instruction),
        Mnemonic.Vaeskeygenassist => VexImmediate<AesKeyAssist>(in instruction),
        _ => null,
    };
}
