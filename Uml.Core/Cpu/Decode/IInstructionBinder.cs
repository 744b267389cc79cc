using Iced.Intel;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Decode;

/// <summary>Finds the handlers of instructions.</summary>
// SAFETY: op is a block's operation that the decoder is filling in; a binder writes to it only, and returns functions that keep the handler
// contract (Op) for the operands it has filled in.
internal unsafe interface IInstructionBinder
{
    /// <summary>
    /// The handler of a decoded instruction. Its register operands are in <see cref="Op.R0"/>..<see cref="Op.R2"/> by operand number (a
    /// register in operand n is in Rn; XMM, MMX and general registers alike as byte offsets; ST(i), segment, control and debug registers as
    /// plain numbers), its memory operand and its immediate (sign- or zero-extended as Iced's GetImmediate says; the first one if there are
    /// two) are filled in.
    /// </summary>
    /// <param name="instruction">The decoded instruction.</param>
    /// <param name="op">The operation; the binder may set further fields for the handler.</param>
    /// <param name="mode">The mode of the block.</param>
    /// <param name="features">The features of the CPU model, which never change.</param>
    /// <returns>Null for an instruction that is not implemented.</returns>
    Handler Bind(in Instruction instruction, Op* op, CpuMode mode, CpuFeatures features);

    /// <summary>Whether the instruction ends its block though it is no jump.</summary>
    bool EndsBlock(in Instruction instruction);

    /// <summary>The handler of an instruction that this CPU does not have: #UD, logged once.</summary>
    Handler NotImplemented { get; }
}
