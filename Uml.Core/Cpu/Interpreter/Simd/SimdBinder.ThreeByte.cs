using System.Numerics;
using Iced.Intel;
using Uml.Core.Cpu.Semantics.Simd;

namespace Uml.Core.Cpu.Interpreter.Simd;

// SAFETY: as in SimdBinder.cs; extractions and insertions are bound with the element type of their form.
internal static unsafe partial class SimdBinder
{
    /// <summary>0F 38: SSSE3, SSE4 and AES.</summary>
    private static Handler BindVector38(in Instruction instruction) => instruction.Code switch
    {
        < Code.Pblendvb_xmm_xmmm128 => BindSsse3(in instruction),
        < Code.Pmovsxbw_xmm_xmmm64 => BindSsse3Unary(in instruction),
        < Code.Pmulld_xmm_xmmm128 => BindSse41Widen(in instruction),
        Code.Pmulld_xmm_xmmm128 => Packed<MultiplyLow<int>>(in instruction),
        Code.Phminposuw_xmm_xmmm128 => Packed<HorizontalMinimum>(in instruction),
        >= Code.Aesimc_xmm_xmmm128 and < Code.Movbe_r16_m16 => BindAes(in instruction),
        _ => BindCrc(in instruction),
    };

    private static Handler BindSsse3(in Instruction instruction) => instruction.Mnemonic switch
    {
        Mnemonic.Pshufb => Packed<ShuffleBytes, MmxShuffleBytes>(in instruction),
        Mnemonic.Phaddw => Packed<HorizontalAddWords, MmxSideBySide<HorizontalAddWords>>(in instruction),
        Mnemonic.Phaddd => Packed<HorizontalAddDoublewords, MmxSideBySide<HorizontalAddDoublewords>>(in instruction),
        Mnemonic.Phaddsw => Packed<HorizontalAddWordsSaturating, MmxSideBySide<HorizontalAddWordsSaturating>>(in instruction),
        Mnemonic.Phsubw => Packed<HorizontalSubtractWords, MmxSideBySide<HorizontalSubtractWords>>(in instruction),
        Mnemonic.Phsubd => Packed<HorizontalSubtractDoublewords, MmxSideBySide<HorizontalSubtractDoublewords>>(in instruction),
        Mnemonic.Phsubsw => Packed<HorizontalSubtractWordsSaturating, MmxSideBySide<HorizontalSubtractWordsSaturating>>(in instruction),
        Mnemonic.Pmaddubsw => Packed<MultiplyAddBytes>(in instruction),
        Mnemonic.Psignb => Packed<PackedSign<sbyte>>(in instruction),
        Mnemonic.Psignw => Packed<PackedSign<short>>(in instruction),
        Mnemonic.Psignd => Packed<PackedSign<int>>(in instruction),
        Mnemonic.Pmulhrsw => Packed<MultiplyHighRounded>(in instruction),
        _ => null,
    };

    /// <summary>0F 38 10 to 0F 38 1E.</summary>
    private static Handler BindSsse3Unary(in Instruction instruction) => instruction.Mnemonic switch
    {
        Mnemonic.Pblendvb => Masked<BlendVariable<sbyte>>(in instruction),
        Mnemonic.Blendvps => Masked<BlendVariable<int>>(in instruction),
        Mnemonic.Blendvpd => Masked<BlendVariable<long>>(in instruction),
        Mnemonic.Ptest => instruction.Op1Kind == OpKind.Memory ? &VectorMisc.TestMemory : &VectorMisc.Test,
        Mnemonic.Pabsb => Packed<PackedAbsolute<sbyte>>(in instruction),
        Mnemonic.Pabsw => Packed<PackedAbsolute<short>>(in instruction),
        Mnemonic.Pabsd => Packed<PackedAbsolute<int>>(in instruction),
        _ => null,
    };

    /// <summary>0F 38 20 to 0F 38 3F.</summary>
    private static Handler BindSse41Widen(in Instruction instruction) => instruction.Mnemonic switch
    {
        Mnemonic.Pmovsxbw => Narrow<SignExtendByteToWord, ulong>(in instruction),
        Mnemonic.Pmovsxbd => Narrow<Twice<SignExtendByteToWord, SignExtendWordToDoubleword>, uint>(in instruction),
        Mnemonic.Pmovsxbq => Narrow<Twice<SignExtendByteToWord, Twice<SignExtendWordToDoubleword, SignExtendDoublewordToQuadword>>, ushort>(
            in instruction),
        Mnemonic.Pmovsxwd => Narrow<SignExtendWordToDoubleword, ulong>(in instruction),
        Mnemonic.Pmovsxwq => Narrow<Twice<SignExtendWordToDoubleword, SignExtendDoublewordToQuadword>, uint>(in instruction),
        Mnemonic.Pmovsxdq => Narrow<SignExtendDoublewordToQuadword, ulong>(in instruction),
        Mnemonic.Pmovzxbw => Narrow<ZeroExtendByteToWord, ulong>(in instruction),
        Mnemonic.Pmovzxbd => Narrow<Twice<ZeroExtendByteToWord, ZeroExtendWordToDoubleword>, uint>(in instruction),
        Mnemonic.Pmovzxbq => Narrow<Twice<ZeroExtendByteToWord, Twice<ZeroExtendWordToDoubleword, ZeroExtendDoublewordToQuadword>>, ushort>(
            in instruction),
        Mnemonic.Pmovzxwd => Narrow<ZeroExtendWordToDoubleword, ulong>(in instruction),
        Mnemonic.Pmovzxwq => Narrow<Twice<ZeroExtendWordToDoubleword, ZeroExtendDoublewordToQuadword>, uint>(in instruction),
        Mnemonic.Pmovzxdq => Narrow<ZeroExtendDoublewordToQuadword, ulong>(in instruction),
        _ => BindSse41Integer(in instruction),
    };

    private static Handler BindSse41Integer(in Instruction instruction) => instruction.Mnemonic switch
    {
        Mnemonic.Pmuldq => Packed<MultiplyEvenSigned>(in instruction),
        Mnemonic.Pcmpeqq => Packed<PackedEqual<ulong>>(in instruction),
        Mnemonic.Pcmpgtq => Packed<PackedGreater<long>>(in instruction),
        Mnemonic.Movntdqa => &VectorMoves.LoadAligned,
        Mnemonic.Packusdw => Packed<PackUnsignedDoublewords>(in instruction),
        Mnemonic.Pminsb => Packed<PackedMinimum<sbyte>>(in instruction),
        Mnemonic.Pminsd => Packed<PackedMinimum<int>>(in instruction),
        Mnemonic.Pminuw => Packed<PackedMinimum<ushort>>(in instruction),
        Mnemonic.Pminud => Packed<PackedMinimum<uint>>(in instruction),
        Mnemonic.Pmaxsb => Packed<PackedMaximum<sbyte>>(in instruction),
        Mnemonic.Pmaxsd => Packed<PackedMaximum<int>>(in instruction),
        Mnemonic.Pmaxuw => Packed<PackedMaximum<ushort>>(in instruction),
        Mnemonic.Pmaxud => Packed<PackedMaximum<uint>>(in instruction),
        _ => null,
    };

    private static Handler BindAes(in Instruction instruction) => instruction.Mnemonic switch
    {
        Mnemonic.Aesimc => Packed<AesInverseMixColumns>(in instruction),
        Mnemonic.Aesenc => Packed<AesEncrypt>(in instruction),
        Mnemonic.Aesenclast => Packed<AesEncryptLast>(in instruction),
        Mnemonic.Aesdec => Packed<AesDecrypt>(in instruction),
        Mnemonic.Aesdeclast => Packed<AesDecryptLast>(in instruction),
        _ => null,
    };

    private static Handler BindCrc(in Instruction instruction) => instruction.Code switch
    {
        Code.Crc32_r32_rm8 or Code.Crc32_r64_rm8 => Crc<byte>(in instruction),
        Code.Crc32_r32_rm16 => Crc<ushort>(in instruction),
        Code.Crc32_r32_rm32 => Crc<uint>(in instruction),
        Code.Crc32_r64_rm64 => Crc<ulong>(in instruction),
        _ => null,
    };

    private static Handler Crc<T>(in Instruction instruction)
        where T : unmanaged => instruction.Op1Kind == OpKind.Memory ? &VectorMisc.CrcMemory<T> : &VectorMisc.Crc<T>;

    /// <summary>0F 3A.</summary>
    private static Handler BindVector3A(in Instruction instruction) => instruction.Code switch
    {
        Code.Blendps_xmm_xmmm128_imm8 => WithImmediate<BlendImmediate<uint>>(in instruction),
        Code.Blendpd_xmm_xmmm128_imm8 => WithImmediate<BlendImmediate<ulong>>(in instruction),
        Code.Pblendw_xmm_xmmm128_imm8 => WithImmediate<BlendImmediate<ushort>>(in instruction),
        Code.Palignr_mm_mmm64_imm8 or Code.Palignr_xmm_xmmm128_imm8 => WithImmediate<AlignRight, MmxAlignRight>(in instruction),
        Code.Pextrb_r32m8_xmm_imm8 or Code.Pextrb_r64m8_xmm_imm8 => Extract<byte>(in instruction),
        Code.Pextrw_r32m16_xmm_imm8 or Code.Pextrw_r64m16_xmm_imm8 => Extract<ushort>(in instruction),
        Code.Pextrd_rm32_xmm_imm8 or Code.Extractps_rm32_xmm_imm8 or Code.Extractps_r64m32_xmm_imm8 => Extract<uint>(in instruction),
        Code.Pextrq_rm64_xmm_imm8 => Extract<ulong>(in instruction),
        Code.Pinsrb_xmm_r32m8_imm8 or Code.Pinsrb_xmm_r64m8_imm8 => Insert<byte>(in instruction),
        Code.Insertps_xmm_xmmm32_imm8 => instruction.Op1Kind == OpKind.Memory
            ? &VectorMisc.InsertSingleMemory
            : &VectorImmediateHandlers<InsertSingle>.Register,
        Code.Pinsrd_xmm_rm32_imm8 => Insert<uint>(in instruction),
        Code.Pinsrq_xmm_rm64_imm8 => Insert<ulong>(in instruction),
        Code.Mpsadbw_xmm_xmmm128_imm8 => WithImmediate<MultipleSumAbsoluteDifferences>(in instruction),
        Code.Pclmulqdq_xmm_xmmm128_imm8 => WithImmediate<CarrylessMultiply>(in instruction),
        Code.Aeskeygenassist_xmm_xmmm128_imm8 => WithImmediate<AesKeyAssist>(in instruction),
        _ => BindStringCompare(in instruction),
    };

    private static Handler BindStringCompare(in Instruction instruction) => instruction.Code switch
    {
        Code.Pcmpestrm_xmm_xmmm128_imm8 => ExplicitLengths<StringCompareHandlers.Mask, int>(in instruction),
        Code.Pcmpestrm64_xmm_xmmm128_imm8 => ExplicitLengths<StringCompareHandlers.Mask, long>(in instruction),
        Code.Pcmpestri_xmm_xmmm128_imm8 => ExplicitLengths<StringCompareHandlers.Index, int>(in instruction),
        Code.Pcmpestri64_xmm_xmmm128_imm8 => ExplicitLengths<StringCompareHandlers.Index, long>(in instruction),
        Code.Pcmpistrm_xmm_xmmm128_imm8 => ImplicitLengths<StringCompareHandlers.Mask>(in instruction),
        Code.Pcmpistri_xmm_xmmm128_imm8 => ImplicitLengths<StringCompareHandlers.Index>(in instruction),
        _ => BindFloatMisc(in instruction),
    };

    public static Handler ExplicitLengths<TResult, TLength>(in Instruction instruction)
        where TResult : struct, StringCompareHandlers.IStringResult
        where TLength : unmanaged => instruction.Op1Kind == OpKind.Memory
            ? &StringCompareHandlers.ExplicitMemory<TResult, TLength>
            : &StringCompareHandlers.Explicit<TResult, TLength>;

    public static Handler ImplicitLengths<TResult>(in Instruction instruction)
        where TResult : struct, StringCompareHandlers.IStringResult =>
        instruction.Op1Kind == OpKind.Memory ? &StringCompareHandlers.ImplicitMemory<TResult> : &StringCompareHandlers.Implicit<TResult>;

    public static Handler Extract<T>(in Instruction instruction)
        where T : unmanaged, IBinaryInteger<T> =>
        instruction.Op0Kind == OpKind.Memory ? &VectorMoves.ExtractToMemory<T> : &VectorMoves.Extract<T>;
}
