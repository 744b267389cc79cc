using System.Runtime.Intrinsics;
using Iced.Intel;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Decode;
using Uml.Core.Cpu.Interpreter.Simd;
using Uml.Core.Cpu.Semantics.Simd;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interpreter.Vex;

/// <summary>VEX forms of moves, insertions, extractions and broadcasts. What writes no vector register is the legacy form's handler.</summary>
// SAFETY: as in VexBinder.cs; Imm of blends is the offset of the fourth register operand, from Iced's number like the others.
internal static unsafe partial class VexBinder
{
    private static Handler BindVexMove(in Instruction instruction, Op* op, CpuMode mode) => instruction.Mnemonic switch
    {
        Mnemonic.Vmovups or Mnemonic.Vmovupd or Mnemonic.Vmovdqu or Mnemonic.Vlddqu => VexMove(in instruction, aligned: false),
        Mnemonic.Vmovaps or Mnemonic.Vmovapd or Mnemonic.Vmovdqa or Mnemonic.Vmovntps or Mnemonic.Vmovntpd or Mnemonic.Vmovntdq
            or Mnemonic.Vmovntdqa => VexMove(in instruction, aligned: true),
        Mnemonic.Vmovss => VexMoveScalar<uint>(in instruction),
        Mnemonic.Vmovsd => VexMoveScalar<ulong>(in instruction),
        Mnemonic.Vmovd => VexMoveGeneral<uint>(in instruction),
        Mnemonic.Vmovq => VexMoveGeneral<ulong>(in instruction),
        Mnemonic.Vmovhlps => &VexMoves.HighToLow,
        Mnemonic.Vmovlhps => &VexMoves.High<VexRegister>,
        Mnemonic.Vmovlps or Mnemonic.Vmovlpd => instruction.OpCount == 3 ? &VexMoves.LoadLow : &VectorMoves.StoreScalar<ulong>,
        Mnemonic.Vmovhps or Mnemonic.Vmovhpd => instruction.OpCount == 3 ? &VexMoves.High<VexMemory> : &VectorMoves.StoreHigh,
        Mnemonic.Vmovmskps => instruction.Op1Register.IsYMM() ? &VexMoves.MoveMask<float> : &VectorMoves.MoveMask<float>,
        Mnemonic.Vmovmskpd => instruction.Op1Register.IsYMM() ? &VexMoves.MoveMask<double> : &VectorMoves.MoveMask<double>,
        Mnemonic.Vpmovmskb => instruction.Op1Register.IsYMM() ? &VexMoves.MoveMask<byte> : &VectorMoves.MoveMask<byte>,
        Mnemonic.Vzeroupper => &VexMoves.ZeroUpper,
        Mnemonic.Vzeroall => &VexMoves.ZeroAll,
        Mnemonic.Vldmxcsr => &StateSave.LoadMxcsr,
        Mnemonic.Vstmxcsr => &StateSave.StoreMxcsr,
        _ => BindVexInsert(in instruction, op, mode),
    };

    private static Handler BindVexInsert(in Instruction instruction, Op* op, CpuMode mode) => instruction.Mnemonic switch
    {
        Mnemonic.Vpextrb => SimdBinder.Extract<byte>(in instruction),
        Mnemonic.Vpextrw => SimdBinder.Extract<ushort>(in instruction),
        Mnemonic.Vpextrd or Mnemonic.Vextractps => SimdBinder.Extract<uint>(in instruction),
        Mnemonic.Vpextrq => SimdBinder.Extract<ulong>(in instruction),
        Mnemonic.Vpinsrb => VexInsert<byte>(in instruction),
        Mnemonic.Vpinsrw => VexInsert<ushort>(in instruction),
        Mnemonic.Vpinsrd => VexInsert<uint>(in instruction),
        Mnemonic.Vpinsrq => VexInsert<ulong>(in instruction),
        Mnemonic.Vinsertps => ReadsMemory(in instruction)
            ? &VexMoves.InsertSingleMemory
            : &VexImmediateHandlers<InsertSingle>.Xmm<VexRegister>,
        Mnemonic.Vinsertf128 or Mnemonic.Vinserti128 => ReadsMemory(in instruction)
            ? &VexMoves.InsertLane<VexMemory>
            : &VexMoves.InsertLane<VexRegister>,
        Mnemonic.Vextractf128 or Mnemonic.Vextracti128 => instruction.Op0Kind == OpKind.Memory
            ? &VexMoves.ExtractLaneToMemory
            : &VexMoves.ExtractLane,
        Mnemonic.Vbroadcastss or Mnemonic.Vpbroadcastd => VexBroadcast<uint>(in instruction),
        Mnemonic.Vbroadcastsd or Mnemonic.Vpbroadcastq => VexBroadcast<ulong>(in instruction),
        Mnemonic.Vbroadcastf128 or Mnemonic.Vbroadcasti128 => VexBroadcast<Vector128<byte>>(in instruction),
        Mnemonic.Vpbroadcastb => VexBroadcast<byte>(in instruction),
        Mnemonic.Vpbroadcastw => VexBroadcast<ushort>(in instruction),
        _ => BindVexMasked(in instruction, op, mode),
    };

    /// <summary>What a mask or a vector of indices directs, tests and string comparisons.</summary>
    private static Handler BindVexMasked(in Instruction instruction, Op* op, CpuMode mode)
    {
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Vmaskmovdqu:
                SimdBinder.FillDestination(in instruction, op, mode);
                return &VectorMoves.MaskedStore;
            case Mnemonic.Vmaskmovps or Mnemonic.Vpmaskmovd:
                return VexMaskedMove<uint>(in instruction);
            case Mnemonic.Vmaskmovpd or Mnemonic.Vpmaskmovq:
                return VexMaskedMove<ulong>(in instruction);
            case Mnemonic.Vpblendvb:
                return VexBlend<BlendVariable<sbyte>>(in instruction, op);
            case Mnemonic.Vblendvps:
                return VexBlend<BlendVariable<int>>(in instruction, op);
            case Mnemonic.Vblendvpd:
                return VexBlend<BlendVariable<long>>(in instruction, op);
            case Mnemonic.Vptest:
                return VexTest<byte>(in instruction);
            case Mnemonic.Vtestps:
                return VexTest<uint>(in instruction);
            case Mnemonic.Vtestpd:
                return VexTest<ulong>(in instruction);
            default:
                return BindVexGather(in instruction);
        }
    }

    private static Handler BindVexGather(in Instruction instruction) => instruction.Code switch
    {
        Code.VEX_Vpgatherdd_xmm_vm32x_xmm or Code.VEX_Vgatherdps_xmm_vm32x_xmm => &GatherHandlers<int, int>.Xmm,
        Code.VEX_Vpgatherdd_ymm_vm32y_ymm or Code.VEX_Vgatherdps_ymm_vm32y_ymm => &GatherHandlers<int, int>.Ymm,
        Code.VEX_Vpgatherdq_xmm_vm32x_xmm or Code.VEX_Vgatherdpd_xmm_vm32x_xmm => &GatherHandlers<long, int>.Xmm,
        Code.VEX_Vpgatherdq_ymm_vm32x_ymm or Code.VEX_Vgatherdpd_ymm_vm32x_ymm => &GatherHandlers<long, int>.Ymm,
        Code.VEX_Vpgatherqd_xmm_vm64x_xmm or Code.VEX_Vgatherqps_xmm_vm64x_xmm => &GatherHandlers<int, long>.Xmm,
        Code.VEX_Vpgatherqd_xmm_vm64y_xmm or Code.VEX_Vgatherqps_xmm_vm64y_xmm => &GatherHandlers<int, long>.Ymm,
        Code.VEX_Vpgatherqq_xmm_vm64x_xmm or Code.VEX_Vgatherqpd_xmm_vm64x_xmm => &GatherHandlers<long, long>.Xmm,
        Code.VEX_Vpgatherqq_ymm_vm64y_ymm or Code.VEX_Vgatherqpd_ymm_vm64y_ymm => &GatherHandlers<long, long>.Ymm,
        _ => BindVexString(in instruction),
    };

    private static Handler BindVexString(in Instruction instruction) => instruction.Mnemonic switch
    {
        Mnemonic.Vpcmpestrm => SimdBinder.ExplicitLengths<StringCompareHandlers.VexMask, int>(in instruction),
        Mnemonic.Vpcmpestrm64 => SimdBinder.ExplicitLengths<StringCompareHandlers.VexMask, long>(in instruction),
        Mnemonic.Vpcmpestri => SimdBinder.ExplicitLengths<StringCompareHandlers.Index, int>(in instruction),
        Mnemonic.Vpcmpestri64 => SimdBinder.ExplicitLengths<StringCompareHandlers.Index, long>(in instruction),
        Mnemonic.Vpcmpistrm => SimdBinder.ImplicitLengths<StringCompareHandlers.VexMask>(in instruction),
        Mnemonic.Vpcmpistri => SimdBinder.ImplicitLengths<StringCompareHandlers.Index>(in instruction),
        _ => null,
    };

    private static Handler VexMove(in Instruction instruction, bool aligned)
    {
        bool wide = IsWide(in instruction);
        if (instruction.Op0Kind == OpKind.Memory)
        {
            return wide
                ? aligned ? &VexMoves.StoreAlignedYmm : &VexMoves.StoreYmm
                : aligned ? &VectorMoves.StoreAligned : &VectorMoves.StoreUnaligned;
        }

        if (instruction.Op1Kind != OpKind.Memory)
        {
            return wide ? &VexMoves.Ymm<VexRegister> : &VexMoves.Xmm<VexRegister>;
        }

        return wide
            ? aligned ? &VexMoves.LoadAlignedYmm : &VexMoves.Ymm<VexMemory>
            : aligned ? &VexMoves.LoadAlignedXmm : &VexMoves.Xmm<VexMemory>;
    }

    private static Handler VexMoveScalar<T>(in Instruction instruction)
        where T : unmanaged
    {
        if (instruction.Op0Kind == OpKind.Memory)
        {
            return &VectorMoves.StoreScalar<T>;
        }

        return instruction.Op1Kind == OpKind.Memory ? &VexMoves.Scalar<VexMemory, T> : &VexMoves.MergeLow<T>;
    }

    /// <summary>VMOVD and VMOVQ between vector registers, general registers and memory.</summary>
    private static Handler VexMoveGeneral<T>(in Instruction instruction)
        where T : unmanaged
    {
        if (instruction.Op0Kind == OpKind.Memory)
        {
            return &VectorMoves.StoreScalar<T>;
        }

        if (!instruction.Op0Register.IsXMM())
        {
            return &VectorMoves.ToGeneral<T>;
        }

        return instruction.Op1Kind == OpKind.Memory ? &VexMoves.Scalar<VexMemory, T> : &VexMoves.Scalar<VexRegister, T>;
    }

    private static Handler VexInsert<T>(in Instruction instruction)
        where T : unmanaged => ReadsMemory(in instruction) ? &VexMoves.Insert<VexMemory, T> : &VexMoves.Insert<VexRegister, T>;

    private static Handler VexBroadcast<T>(in Instruction instruction)
        where T : unmanaged
    {
        bool memory = ReadsMemory(in instruction);
        return IsWide(in instruction)
            ? memory ? &VexMoves.BroadcastYmm<VexMemory, T> : &VexMoves.BroadcastYmm<VexRegister, T>
            : memory ? &VexMoves.BroadcastXmm<VexMemory, T> : &VexMoves.BroadcastXmm<VexRegister, T>;
    }

    private static Handler VexMaskedMove<T>(in Instruction instruction)
        where T : unmanaged
    {
        bool wide = instruction.Op1Register.IsYMM();
        return instruction.Op0Kind == OpKind.Memory
            ? wide ? &VexMaskedMoves<T>.StoreYmm : &VexMaskedMoves<T>.StoreXmm
            : wide ? &VexMaskedMoves<T>.LoadYmm : &VexMaskedMoves<T>.LoadXmm;
    }

    private static Handler VexBlend<TOperation>(in Instruction instruction, Op* op)
        where TOperation : struct, IVectorMasked
    {
        op->Imm = OperandFields.RegisterOffset(instruction.Op3Register);
        bool memory = ReadsMemory(in instruction);
        return IsWide(in instruction)
            ? memory ? &VexMaskedHandlers<TOperation>.Ymm<VexMemory> : &VexMaskedHandlers<TOperation>.Ymm<VexRegister>
            : memory ? &VexMaskedHandlers<TOperation>.Xmm<VexMemory> : &VexMaskedHandlers<TOperation>.Xmm<VexRegister>;
    }

    private static Handler VexTest<T>(in Instruction instruction)
        where T : unmanaged
    {
        bool memory = ReadsMemory(in instruction);
        return IsWide(in instruction)
            ? memory ? &VexTestHandlers<T>.Ymm<VexMemory> : &VexTestHandlers<T>.Ymm<VexRegister>
            : memory ? &VexTestHandlers<T>.Xmm<VexMemory> : &VexTestHandlers<T>.Xmm<VexRegister>;
    }
}
