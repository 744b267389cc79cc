using System.Numerics;
using Iced.Intel;
using Uml.Core.Cpu.Semantics.Simd;

namespace Uml.Core.Cpu.Interpreter.Simd;

// SAFETY: as in SimdBinder.cs; the element type of a general register operand is its own width.
internal static unsafe partial class SimdBinder
{
    /// <summary>0F 10 to 0F 17 and 0F 28 to 0F 2F.</summary>
    private static Handler BindVectorMove(in Instruction instruction)
    {
        switch (instruction.Code)
        {
            case Code.Movups_xmm_xmmm128 or Code.Movupd_xmm_xmmm128 or Code.Movups_xmmm128_xmm or Code.Movupd_xmmm128_xmm:
                return MoveVector(in instruction, aligned: false);
            case Code.Movaps_xmm_xmmm128 or Code.Movapd_xmm_xmmm128 or Code.Movaps_xmmm128_xmm or Code.Movapd_xmmm128_xmm
                or Code.Movntps_m128_xmm or Code.Movntpd_m128_xmm:
                return MoveVector(in instruction, aligned: true);
            case Code.Movss_xmm_xmmm32 or Code.Movss_xmmm32_xmm:
                return MoveScalar<uint>(in instruction);
            case Code.Movsd_xmm_xmmm64 or Code.Movsd_xmmm64_xmm:
                return MoveScalar<ulong>(in instruction);
            case Code.Movhlps_xmm_xmm:
                return &VectorMoves.HighToLow;
            case Code.Movlhps_xmm_xmm:
                return &VectorMoves.LowToHigh;
            case Code.Movlps_xmm_m64 or Code.Movlpd_xmm_m64:
                return &VectorMoves.LoadLow;
            case Code.Movhps_xmm_m64 or Code.Movhpd_xmm_m64:
                return &VectorMoves.LoadHigh;
            case Code.Movlps_m64_xmm or Code.Movlpd_m64_xmm:
                return &VectorMoves.StoreScalar<ulong>;
            case Code.Movhps_m64_xmm or Code.Movhpd_m64_xmm:
                return &VectorMoves.StoreHigh;
        }

        return instruction.Mnemonic switch
        {
            Mnemonic.Unpcklps => Packed<UnpackLow<uint>>(in instruction),
            Mnemonic.Unpcklpd => Packed<UnpackLow<ulong>>(in instruction),
            Mnemonic.Unpckhps => Packed<UnpackHigh<uint>>(in instruction),
            Mnemonic.Unpckhpd => Packed<UnpackHigh<ulong>>(in instruction),
            Mnemonic.Movsldup => Packed<DuplicateEvenSingles>(in instruction),
            Mnemonic.Movshdup => Packed<DuplicateOddSingles>(in instruction),
            Mnemonic.Movddup => Narrow<DuplicateLowDouble, ulong>(in instruction),
            _ => BindFloatConvert(in instruction),
        };
    }

    private static Handler MoveVector(in Instruction instruction, bool aligned)
    {
        if (instruction.Op0Kind == OpKind.Memory)
        {
            return aligned ? &VectorMoves.StoreAligned : &VectorMoves.StoreUnaligned;
        }

        if (instruction.Op1Kind == OpKind.Memory)
        {
            return aligned ? &VectorMoves.LoadAligned : &VectorMoves.LoadUnaligned;
        }

        return &VectorMoves.Register;
    }

    private static Handler MoveScalar<T>(in Instruction instruction)
        where T : unmanaged
    {
        if (instruction.Op0Kind == OpKind.Memory)
        {
            return &VectorMoves.StoreScalar<T>;
        }

        return instruction.Op1Kind == OpKind.Memory ? &VectorMoves.LoadScalar<T> : &VectorMoves.MergeLow<T>;
    }

    /// <summary>0F 6E, 6F, 7E, 7F and 0F D6 in all their forms.</summary>
    private static Handler BindVectorDataMove(in Instruction instruction)
    {
        switch (instruction.Code)
        {
            case Code.Movdqu_xmm_xmmm128 or Code.Movdqu_xmmm128_xmm:
                return MoveVector(in instruction, aligned: false);
            case Code.Movdqa_xmm_xmmm128 or Code.Movdqa_xmmm128_xmm or Code.Movntdq_m128_xmm:
                return MoveVector(in instruction, aligned: true);
            case Code.Movd_xmm_rm32:
                return MoveToVector<uint>(in instruction);
            case Code.Movq_xmm_rm64 or Code.Movq_xmm_xmmm64:
                return MoveToVector<ulong>(in instruction);
            case Code.Movd_rm32_xmm:
                return instruction.Op0Kind == OpKind.Memory ? &VectorMoves.StoreScalar<uint> : &VectorMoves.ToGeneral<uint>;
            case Code.Movq_rm64_xmm:
                return instruction.Op0Kind == OpKind.Memory ? &VectorMoves.StoreScalar<ulong> : &VectorMoves.ToGeneral<ulong>;
            case Code.Movq_xmmm64_xmm:
                return instruction.Op0Kind == OpKind.Memory ? &VectorMoves.StoreScalar<ulong> : &VectorMoves.FromScalar<ulong>;
            case Code.Movq2dq_xmm_mm:
                return &MmxMoves.ToVector;
            case Code.Movdq2q_mm_xmm:
                return &VectorMoves.ToMmx;
            case Code.Movd_mm_rm32:
                return MoveToMmx<uint>(in instruction);
            case Code.Movq_mm_rm64 or Code.Movq_mm_mmm64:
                return MoveToMmx<ulong>(in instruction);
            case Code.Movd_rm32_mm:
                return instruction.Op0Kind == OpKind.Memory ? &MmxMoves.Store<uint> : &MmxMoves.ToRegister<uint>;
            case Code.Movq_rm64_mm:
                return instruction.Op0Kind == OpKind.Memory ? &MmxMoves.Store<ulong> : &MmxMoves.ToRegister<ulong>;
            case Code.Movq_mmm64_mm:
                return instruction.Op0Kind == OpKind.Memory ? &MmxMoves.Store<ulong> : &MmxMoves.FromRegister<ulong>;
            default:
                return null;
        }
    }

    private static Handler MoveToVector<T>(in Instruction instruction)
        where T : unmanaged =>
        instruction.Op1Kind == OpKind.Memory ? &VectorMoves.LoadScalar<T> : &VectorMoves.FromScalar<T>;

    private static Handler MoveToMmx<T>(in Instruction instruction)
        where T : unmanaged, IBinaryInteger<T> =>
        instruction.Op1Kind == OpKind.Memory ? &MmxMoves.Load<T> : &MmxMoves.FromRegister<T>;
}
