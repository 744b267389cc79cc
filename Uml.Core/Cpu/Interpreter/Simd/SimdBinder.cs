using Iced.Intel;
using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Semantics.Simd;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interpreter.Simd;

/// <summary>MMX and SSE: one method for each stretch of the opcode map, which Iced's codes follow.</summary>
// SAFETY: op is the operation being decoded (IInstructionBinder). Handlers for registers are bound to register forms only, whose offsets
// are those of 16 (XMM) or 8 bytes (MMX).
internal static unsafe partial class SimdBinder
{
    public static Handler Bind(in Instruction instruction, Op* op, CpuMode mode)
    {
        Handler handler = BindVector(in instruction, op, mode);
        if (handler == null || (mode & (CpuMode.VectorDisabled | CpuMode.X87Disabled)) == 0)
        {
            return handler;
        }

        if (instruction.Code == Code.Emms || (UsesRegisters(in instruction, mmx: true) && !UsesRegisters(in instruction, mmx: false)))
        {
            return (mode & CpuMode.X87Disabled) != 0 ? &Enablement.RaiseMmxDisabled : handler;
        }

        // Instructions without vector registers check for themselves, or need no check (Intel SDM vol. 3, table 13-1).
        return UsesRegisters(in instruction, mmx: false) ? &Enablement.RaiseVectorDisabled : handler;
    }

    private static bool UsesRegisters(in Instruction instruction, bool mmx)
    {
        for (int i = 0; i < instruction.OpCount; i++)
        {
            Register register = instruction.GetOpRegister(i);
            if (mmx ? register.IsMM() : register.IsXMM())
            {
                return true;
            }
        }

        return false;
    }

    private static Handler BindVector(in Instruction instruction, Op* op, CpuMode mode) => instruction.Code switch
    {
        >= Code.Movups_xmm_xmmm128 and < Code.Mov_r32_cr => BindVectorMove(in instruction),
        >= Code.Movaps_xmm_xmmm128 and < Code.Wrmsr => BindVectorMove(in instruction),
        >= Code.Movmskps_r32_xmm and < Code.Punpcklbw_mm_mmm32 => BindVectorLogic(in instruction),
        >= Code.Punpcklbw_mm_mmm32 and < Code.Jo_rel16 => BindVectorPack(in instruction),
        >= Code.Xadd_rm8_r8 and < Code.Addsubpd_xmm_xmmm128 => BindVectorWords(in instruction),
        >= Code.Addsubpd_xmm_xmmm128 and < Code.Pshufb_mm_mmm64 => BindVectorInteger(in instruction, op, mode),
        >= Code.Pshufb_mm_mmm64 and < Code.Roundps_xmm_xmmm128_imm8 => BindVector38(in instruction),
        >= Code.Roundps_xmm_xmmm128_imm8 and < Code.D3NOW_Pi2fw_mm_mmm64 => BindVector3A(in instruction),
        _ => null,
    };

    /// <summary>An operation whose MMX form is the low half of its XMM form.</summary>
    private static Handler Packed<TOperation>(in Instruction instruction)
        where TOperation : struct, IVectorBinary => Packed<TOperation, TOperation>(in instruction);

    /// <summary>An operation with another function for its MMX form.</summary>
    private static Handler Packed<TVector, TMmx>(in Instruction instruction)
        where TVector : struct, IVectorBinary
        where TMmx : struct, IVectorBinary
    {
        bool memory = instruction.Op1Kind == OpKind.Memory;
        if (instruction.Op0Register.IsMM())
        {
            return memory ? &MmxHandlers<TMmx>.Memory<ulong> : &MmxHandlers<TMmx>.Register;
        }

        return memory ? &VectorHandlers<TVector>.Memory : &VectorHandlers<TVector>.Register;
    }

    /// <summary>A low unpack: the MMX form reads 32 bits of memory.</summary>
    private static Handler PackedLow<TOperation>(in Instruction instruction)
        where TOperation : struct, IVectorBinary =>
        instruction.Op0Register.IsMM() && instruction.Op1Kind == OpKind.Memory
            ? &MmxHandlers<TOperation>.Memory<uint>
            : Packed<TOperation>(in instruction);

    /// <summary>A shift by an immediate, or by a register or memory operand.</summary>
    private static Handler Shift<TOperation>(in Instruction instruction)
        where TOperation : struct, IVectorBinary
    {
        if (instruction.Op1Kind != OpKind.Immediate8)
        {
            return Packed<TOperation>(in instruction);
        }

        return instruction.Op0Register.IsMM() ? &MmxHandlers<TOperation>.Immediate : &VectorHandlers<TOperation>.Immediate;
    }

    private static Handler WithImmediate<TOperation>(in Instruction instruction)
        where TOperation : struct, IVectorImmediate => WithImmediate<TOperation, TOperation>(in instruction);

    private static Handler WithImmediate<TVector, TMmx>(in Instruction instruction)
        where TVector : struct, IVectorImmediate
        where TMmx : struct, IVectorImmediate
    {
        bool memory = instruction.Op1Kind == OpKind.Memory;
        if (instruction.Op0Register.IsMM())
        {
            return memory ? &MmxImmediateHandlers<TMmx>.Memory : &MmxImmediateHandlers<TMmx>.Register;
        }

        return memory ? &VectorImmediateHandlers<TVector>.Memory : &VectorImmediateHandlers<TVector>.Register;
    }

    /// <summary>A source of which only the low <typeparamref name="T"/> is used, and read from memory.</summary>
    private static Handler Narrow<TOperation, T>(in Instruction instruction)
        where TOperation : struct, IVectorBinary
        where T : unmanaged =>
        instruction.Op1Kind == OpKind.Memory ? &VectorHandlers<TOperation>.Narrow<T> : &VectorHandlers<TOperation>.Register;

    private static Handler Masked<TOperation>(in Instruction instruction)
        where TOperation : struct, IVectorMasked =>
        instruction.Op1Kind == OpKind.Memory ? &VectorMaskedHandlers<TOperation>.Memory : &VectorMaskedHandlers<TOperation>.Register;
}
