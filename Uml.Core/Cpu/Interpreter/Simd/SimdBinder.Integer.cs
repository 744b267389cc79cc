using Iced.Intel;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Decode;
using Uml.Core.Cpu.Semantics.Simd;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interpreter.Simd;

// SAFETY: as in SimdBinder.cs; FillDestination writes the offset of RDI, and that of the word that is always zero.
internal static unsafe partial class SimdBinder
{
    /// <summary>0F 50 to 0F 5F.</summary>
    private static Handler BindVectorLogic(in Instruction instruction) => instruction.Mnemonic switch
    {
        Mnemonic.Movmskps => &VectorMoves.MoveMask<float>,
        Mnemonic.Movmskpd => &VectorMoves.MoveMask<double>,
        Mnemonic.Andps or Mnemonic.Andpd => Packed<PackedAnd>(in instruction),
        Mnemonic.Andnps or Mnemonic.Andnpd => Packed<PackedAndNot>(in instruction),
        Mnemonic.Orps or Mnemonic.Orpd => Packed<PackedOr>(in instruction),
        Mnemonic.Xorps or Mnemonic.Xorpd => Packed<PackedXor>(in instruction),
        _ => BindFloatArithmetic(in instruction),
    };

    /// <summary>0F 60 to 0F 7F.</summary>
    private static Handler BindVectorPack(in Instruction instruction) => instruction.Mnemonic switch
    {
        Mnemonic.Movd or Mnemonic.Movq or Mnemonic.Movdqa or Mnemonic.Movdqu => BindVectorDataMove(in instruction),
        Mnemonic.Punpcklbw => PackedLow<UnpackLow<byte>>(in instruction),
        Mnemonic.Punpcklwd => PackedLow<UnpackLow<ushort>>(in instruction),
        Mnemonic.Punpckldq => PackedLow<UnpackLow<uint>>(in instruction),
        Mnemonic.Punpcklqdq => Packed<UnpackLow<ulong>>(in instruction),
        Mnemonic.Punpckhbw => Packed<UnpackHigh<byte>, MmxUnpackHigh<byte>>(in instruction),
        Mnemonic.Punpckhwd => Packed<UnpackHigh<ushort>, MmxUnpackHigh<ushort>>(in instruction),
        Mnemonic.Punpckhdq => Packed<UnpackHigh<uint>, MmxUnpackHigh<uint>>(in instruction),
        Mnemonic.Punpckhqdq => Packed<UnpackHigh<ulong>>(in instruction),
        Mnemonic.Packsswb => Packed<PackSignedWords, MmxSideBySide<PackSignedWords>>(in instruction),
        Mnemonic.Packssdw => Packed<PackSignedDoublewords, MmxSideBySide<PackSignedDoublewords>>(in instruction),
        Mnemonic.Packuswb => Packed<PackUnsignedWords, MmxSideBySide<PackUnsignedWords>>(in instruction),
        Mnemonic.Pcmpgtb => Packed<PackedGreater<sbyte>>(in instruction),
        Mnemonic.Pcmpgtw => Packed<PackedGreater<short>>(in instruction),
        Mnemonic.Pcmpgtd => Packed<PackedGreater<int>>(in instruction),
        Mnemonic.Pcmpeqb => Packed<PackedEqual<byte>>(in instruction),
        Mnemonic.Pcmpeqw => Packed<PackedEqual<ushort>>(in instruction),
        Mnemonic.Pcmpeqd => Packed<PackedEqual<uint>>(in instruction),
        Mnemonic.Pshufw => WithImmediate<ShuffleLowWords>(in instruction),
        Mnemonic.Pshufd => WithImmediate<ShuffleDoublewords>(in instruction),
        Mnemonic.Pshufhw => WithImmediate<ShuffleHighWords>(in instruction),
        Mnemonic.Pshuflw => WithImmediate<ShuffleLowWords>(in instruction),
        Mnemonic.Emms => &MmxMoves.Leave,
        Mnemonic.Haddps or Mnemonic.Haddpd or Mnemonic.Hsubps or Mnemonic.Hsubpd => BindFloatMisc(in instruction),
        _ => BindVectorShift(in instruction),
    };

    /// <summary>0F 71 to 0F 73, and the same mnemonics at 0F D1 to 0F F3.</summary>
    private static Handler BindVectorShift(in Instruction instruction) => instruction.Mnemonic switch
    {
        Mnemonic.Psrlw => Shift<ShiftRightLogical<ushort>>(in instruction),
        Mnemonic.Psrld => Shift<ShiftRightLogical<uint>>(in instruction),
        Mnemonic.Psrlq => Shift<ShiftRightLogical<ulong>>(in instruction),
        Mnemonic.Psraw => Shift<ShiftRightArithmetic<short>>(in instruction),
        Mnemonic.Psrad => Shift<ShiftRightArithmetic<int>>(in instruction),
        Mnemonic.Psllw => Shift<ShiftLeft<ushort>>(in instruction),
        Mnemonic.Pslld => Shift<ShiftLeft<uint>>(in instruction),
        Mnemonic.Psllq => Shift<ShiftLeft<ulong>>(in instruction),
        Mnemonic.Psrldq => &VectorImmediateHandlers<ShiftRightBytes>.InPlace,
        Mnemonic.Pslldq => &VectorImmediateHandlers<ShiftLeftBytes>.InPlace,
        _ => null,
    };

    /// <summary>0F C2 to 0F C6.</summary>
    private static Handler BindVectorWords(in Instruction instruction) => instruction.Code switch
    {
        Code.Movnti_m32_r32 => &VectorMoves.StoreScalar<uint>,
        Code.Movnti_m64_r64 => &VectorMoves.StoreScalar<ulong>,
        Code.Pinsrw_mm_r32m16_imm8 or Code.Pinsrw_mm_r64m16_imm8 =>
            instruction.Op1Kind == OpKind.Memory ? &MmxMoves.InsertWordMemory : &MmxMoves.InsertWord,
        Code.Pinsrw_xmm_r32m16_imm8 or Code.Pinsrw_xmm_r64m16_imm8 => Insert<ushort>(in instruction),
        Code.Pextrw_r32_mm_imm8 or Code.Pextrw_r64_mm_imm8 => &MmxMoves.ExtractWord,
        Code.Pextrw_r32_xmm_imm8 or Code.Pextrw_r64_xmm_imm8 => &VectorMoves.Extract<ushort>,
        Code.Shufps_xmm_xmmm128_imm8 => WithImmediate<ShuffleSingles>(in instruction),
        Code.Shufpd_xmm_xmmm128_imm8 => WithImmediate<ShuffleDoubles>(in instruction),
        _ => BindFloatMisc(in instruction),
    };

    /// <summary>0F D1 to 0F FE: what is neither shift nor arithmetic; those follow.</summary>
    private static Handler BindVectorInteger(in Instruction instruction, Op* op, CpuMode mode)
    {
        switch (instruction.Code)
        {
            case Code.Pmovmskb_r32_mm or Code.Pmovmskb_r64_mm:
                return &MmxMoves.MoveMask;
            case Code.Pmovmskb_r32_xmm or Code.Pmovmskb_r64_xmm:
                return &VectorMoves.MoveMask<byte>;
            case Code.Movntq_m64_mm:
                return &MmxMoves.Store<ulong>;
            case Code.Maskmovq_rDI_mm_mm:
                FillDestination(in instruction, op, mode);
                return &MmxMoves.MaskedStore;
            case Code.Maskmovdqu_rDI_xmm_xmm:
                FillDestination(in instruction, op, mode);
                return &VectorMoves.MaskedStore;
            case Code.Lddqu_xmm_m128:
                return &VectorMoves.LoadUnaligned;
            case Code.Movq_xmmm64_xmm or Code.Movq2dq_xmm_mm or Code.Movdq2q_mm_xmm or Code.Movntdq_m128_xmm:
                return BindVectorDataMove(in instruction);
            default:
                Handler shift = BindVectorShift(in instruction);
                return shift != null ? shift : BindVectorArithmetic(in instruction);
        }
    }

    /// <summary>The implicit memory operand of MASKMOVQ and MASKMOVDQU: DS:rDI, or another segment.</summary>
    public static void FillDestination(in Instruction instruction, Op* op, CpuMode mode)
    {
        const int rdi = 7;
        op->Base = (ushort)CpuState.GprOffset(rdi);
        op->Index = (ushort)EngineState.ZeroOffset;
        int addressSize = instruction.Op0Kind switch { OpKind.MemorySegDI => 16, OpKind.MemorySegEDI => 32, _ => 64 };
        op->Address = OperandFields.AddressSpace(op->Segment, addressSize, mode);
    }

    private static Handler BindVectorArithmetic(in Instruction instruction) => instruction.Mnemonic switch
    {
        Mnemonic.Paddb => Packed<PackedAdd<byte>>(in instruction),
        Mnemonic.Paddw => Packed<PackedAdd<ushort>>(in instruction),
        Mnemonic.Paddd => Packed<PackedAdd<uint>>(in instruction),
        Mnemonic.Paddq => Packed<PackedAdd<ulong>>(in instruction),
        Mnemonic.Psubb => Packed<PackedSubtract<byte>>(in instruction),
        Mnemonic.Psubw => Packed<PackedSubtract<ushort>>(in instruction),
        Mnemonic.Psubd => Packed<PackedSubtract<uint>>(in instruction),
        Mnemonic.Psubq => Packed<PackedSubtract<ulong>>(in instruction),
        Mnemonic.Pand => Packed<PackedAnd>(in instruction),
        Mnemonic.Pandn => Packed<PackedAndNot>(in instruction),
        Mnemonic.Por => Packed<PackedOr>(in instruction),
        Mnemonic.Pxor => Packed<PackedXor>(in instruction),
        Mnemonic.Pminub => Packed<PackedMinimum<byte>>(in instruction),
        Mnemonic.Pminsw => Packed<PackedMinimum<short>>(in instruction),
        Mnemonic.Pmaxub => Packed<PackedMaximum<byte>>(in instruction),
        Mnemonic.Pmaxsw => Packed<PackedMaximum<short>>(in instruction),
        Mnemonic.Pavgb => Packed<PackedAverage<byte>>(in instruction),
        Mnemonic.Pavgw => Packed<PackedAverage<ushort>>(in instruction),
        Mnemonic.Psadbw => Packed<SumAbsoluteDifferences>(in instruction),
        _ => BindVectorProduct(in instruction),
    };

    private static Handler BindVectorProduct(in Instruction instruction) => instruction.Mnemonic switch
    {
        Mnemonic.Paddsb => Packed<PackedAddSaturating<sbyte>>(in instruction),
        Mnemonic.Paddsw => Packed<PackedAddSaturating<short>>(in instruction),
        Mnemonic.Paddusb => Packed<PackedAddSaturating<byte>>(in instruction),
        Mnemonic.Paddusw => Packed<PackedAddSaturating<ushort>>(in instruction),
        Mnemonic.Psubsb => Packed<PackedSubtractSaturating<sbyte>>(in instruction),
        Mnemonic.Psubsw => Packed<PackedSubtractSaturating<short>>(in instruction),
        Mnemonic.Psubusb => Packed<PackedSubtractSaturating<byte>>(in instruction),
        Mnemonic.Psubusw => Packed<PackedSubtractSaturating<ushort>>(in instruction),
        Mnemonic.Pmullw => Packed<MultiplyLow<short>>(in instruction),
        Mnemonic.Pmulhw => Packed<MultiplyHigh>(in instruction),
        Mnemonic.Pmulhuw => Packed<MultiplyHighUnsigned>(in instruction),
        Mnemonic.Pmuludq => Packed<MultiplyEvenUnsigned>(in instruction),
        Mnemonic.Pmaddwd => Packed<MultiplyAddWords>(in instruction),
        _ => BindFloatMisc(in instruction),
    };

    private static Handler Insert<T>(in Instruction instruction)
        where T : unmanaged =>
        instruction.Op1Kind == OpKind.Memory ? &VectorMoves.InsertFromMemory<T> : &VectorMoves.Insert<T>;
}
