using System.Runtime.Intrinsics;
using Iced.Intel;
using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Interpreter.Simd;
using Uml.Core.Cpu.Semantics.Simd;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interpreter.Vex;

/// <summary>AVX, AVX2, FMA and F16C: VEX-encoded instructions on vector registers.</summary>
// SAFETY: op is the operation being decoded (IInstructionBinder). R2 is made the last register source of any form; handlers with
// VexRegister are bound only when that is a register, and Ymm ones when its slot of 32 bytes is meant.
internal static unsafe partial class VexBinder
{
    public static Handler Bind(in Instruction instruction, Op* op, CpuMode mode)
    {
        // The last source is always R2, so that forms of two and of three operands are one to the handlers.
        ushort third = op->R2;
        if (instruction.Op2Kind != OpKind.Register || instruction.OpCount < 3)
        {
            op->R2 = op->R1;
        }

        Handler handler = BindVexMove(in instruction, op, mode);
        if (handler == null)
        {
            handler = BindVexAdd(in instruction);
        }

        if (handler == null)
        {
            handler = BindVexPackedFloat(in instruction, op);
        }

        if (handler == null)
        {
            op->R2 = third; // an instruction on general registers, which is another family's
            return null;
        }

        return (mode & CpuMode.AvxDisabled) != 0 ? &Enablement.RaiseAvxDisabled : handler;
    }

    /// <summary>Whether the last source is memory.</summary>
    private static bool ReadsMemory(in Instruction instruction) =>
        instruction.Op1Kind == OpKind.Memory || instruction.Op2Kind == OpKind.Memory;

    /// <summary>Whether the vector length is 256 bits; narrowing conversions and extractions look for themselves.</summary>
    private static bool IsWide(in Instruction instruction) => instruction.Op0Register.IsYMM() || instruction.Op1Register.IsYMM();

    private static Handler VexBinary<TOperation>(in Instruction instruction)
        where TOperation : struct, IVectorBinary
    {
        bool memory = ReadsMemory(in instruction);
        return IsWide(in instruction)
            ? memory ? &VexHandlers<TOperation>.Ymm<VexMemory> : &VexHandlers<TOperation>.Ymm<VexRegister>
            : memory ? &VexHandlers<TOperation>.Xmm<VexMemory> : &VexHandlers<TOperation>.Xmm<VexRegister>;
    }

    /// <summary>A shift by an immediate, or by the low quadword of a register or memory operand.</summary>
    private static Handler VexShift<TOperation>(in Instruction instruction)
        where TOperation : struct, IVectorBinary
    {
        if (instruction.Op2Kind == OpKind.Immediate8)
        {
            return IsWide(in instruction) ? &VexHandlers<TOperation>.YmmByImmediate : &VexHandlers<TOperation>.XmmByImmediate;
        }

        bool memory = ReadsMemory(in instruction);
        return IsWide(in instruction)
            ? memory ? &VexHandlers<TOperation>.YmmByXmm<VexMemory> : &VexHandlers<TOperation>.YmmByXmm<VexRegister>
            : memory ? &VexHandlers<TOperation>.Xmm<VexMemory> : &VexHandlers<TOperation>.Xmm<VexRegister>;
    }

    private static Handler VexNarrow<TOperation, TPart>(in Instruction instruction)
        where TOperation : struct, IVectorBinary
        where TPart : unmanaged
    {
        bool memory = ReadsMemory(in instruction);
        return IsWide(in instruction)
            ? memory ? &VexHandlers<TOperation>.YmmNarrow<VexMemory, TPart> : &VexHandlers<TOperation>.YmmNarrow<VexRegister, TPart>
            : memory ? &VexHandlers<TOperation>.XmmNarrow<VexMemory, TPart> : &VexHandlers<TOperation>.XmmNarrow<VexRegister, TPart>;
    }

    private static Handler VexImmediate<TOperation>(in Instruction instruction)
        where TOperation : struct, IVectorImmediate
    {
        bool memory = ReadsMemory(in instruction);
        return IsWide(in instruction)
            ? memory ? &VexImmediateHandlers<TOperation>.Ymm<VexMemory> : &VexImmediateHandlers<TOperation>.Ymm<VexRegister>
            : memory ? &VexImmediateHandlers<TOperation>.Xmm<VexMemory> : &VexImmediateHandlers<TOperation>.Xmm<VexRegister>;
    }

    private static Handler VexWide<TOperation>(in Instruction instruction)
        where TOperation : struct, IWideBinary => ReadsMemory(in instruction)
            ? &VexWideHandlers<TOperation>.Ymm<VexMemory>
            : &VexWideHandlers<TOperation>.Ymm<VexRegister>;

    private static Handler VexWideImmediate<TOperation>(in Instruction instruction)
        where TOperation : struct, IWideImmediate => ReadsMemory(in instruction)
            ? &VexWideImmediateHandlers<TOperation>.Ymm<VexMemory>
            : &VexWideImmediateHandlers<TOperation>.Ymm<VexRegister>;

    private static Handler VexPackedFloat<TOperation, T>(in Instruction instruction)
        where TOperation : struct, IPackedFloat<T>
        where T : unmanaged
    {
        bool memory = ReadsMemory(in instruction);
        return IsWide(in instruction)
            ? memory ? &VexPackedFloatHandlers<TOperation, T>.Ymm<VexMemory> : &VexPackedFloatHandlers<TOperation, T>.Ymm<VexRegister>
            : memory ? &VexPackedFloatHandlers<TOperation, T>.Xmm<VexMemory> : &VexPackedFloatHandlers<TOperation, T>.Xmm<VexRegister>;
    }

    private static Handler VexScalarFloat<TOperation, T>(in Instruction instruction)
        where TOperation : struct, IScalarFloat<T>
        where T : unmanaged => ReadsMemory(in instruction)
            ? &VexScalarFloatHandlers<TOperation, T>.Xmm<VexMemory>
            : &VexScalarFloatHandlers<TOperation, T>.Xmm<VexRegister>;

    /// <summary>A conversion of a scalar into the lowest element.</summary>
    private static Handler VexMerge<TOperation, TFrom, TTo>(in Instruction instruction)
        where TOperation : struct, IFloatConversion<TFrom, TTo>
        where TFrom : unmanaged
        where TTo : unmanaged => ReadsMemory(in instruction)
            ? &VexConversionHandlers<TOperation, TFrom, TTo>.Merge<VexMemory>
            : &VexConversionHandlers<TOperation, TFrom, TTo>.Merge<VexRegister>;

    /// <summary>A conversion whose result has the vector length.</summary>
    private static Handler VexConvert<TOperation, TFrom, TTo>(in Instruction instruction)
        where TOperation : struct, IFloatConversion<TFrom, TTo>
        where TFrom : unmanaged
        where TTo : unmanaged
    {
        bool memory = ReadsMemory(in instruction);
        return IsWide(in instruction)
            ? memory
                ? &VexConversionHandlers<TOperation, TFrom, TTo>.Ymm<VexMemory>
                : &VexConversionHandlers<TOperation, TFrom, TTo>.Ymm<VexRegister>
            : memory
                ? &VexConversionHandlers<TOperation, TFrom, TTo>.Xmm<VexMemory>
                : &VexConversionHandlers<TOperation, TFrom, TTo>.Xmm<VexRegister>;
    }

    /// <summary>A conversion of doubles to elements half as wide: an XMM register whatever the vector length.</summary>
    private static Handler VexConvertNarrow<TOperation, TTo>(in Instruction instruction)
        where TOperation : struct, IFloatConversion<Vector128<double>, TTo>
        where TTo : unmanaged
    {
        bool wide = instruction.Op1Register.IsYMM() || instruction.MemorySize.GetSize() == 32;
        bool memory = ReadsMemory(in instruction);
        return wide
            ? memory
                ? &VexConversionHandlers<TOperation, Vector128<double>, TTo>.Narrow<VexMemory>
                : &VexConversionHandlers<TOperation, Vector128<double>, TTo>.Narrow<VexRegister>
            : memory
                ? &VexConversionHandlers<TOperation, Vector128<double>, TTo>.Xmm<VexMemory>
                : &VexConversionHandlers<TOperation, Vector128<double>, TTo>.Xmm<VexRegister>;
    }

    private static Handler VexToHalves(in Instruction instruction, Op* op)
    {
        op->R2 = (ushort)(instruction.Op0Kind == OpKind.Memory ? 1 : 0);
        return instruction.Op1Register.IsYMM() ? &HalfHandlers.FromYmm : &HalfHandlers.FromXmm;
    }

    private static Handler VexDotProduct(in Instruction instruction) => ReadsMemory(in instruction)
        ? &VexDotProductHandlers.Ymm<VexMemory>
        : &VexDotProductHandlers.Ymm<VexRegister>;
}
