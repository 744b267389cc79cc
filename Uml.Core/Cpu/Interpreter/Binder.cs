using Iced.Intel;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Control;
using Uml.Core.Cpu.Interpreter.Fpu;
using Uml.Core.Cpu.Interpreter.Integer;
using Uml.Core.Cpu.Interpreter.Simd;
using Uml.Core.Cpu.Interpreter.Vex;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interpreter;

/// <summary>
/// Finds the handler of a decoded instruction: one partial file for each instruction family, next to the family's handlers. A family's
/// method returns null for what it does not implement; the instruction then raises #UD in the guest.
/// </summary>
internal static unsafe class Binder
{
    /// <summary>
    /// The instruction's register operands are in <see cref="Op.R0"/>..<see cref="Op.R2"/> by operand number (a register in operand n is
    /// in Rn; XMM, MMX and general registers alike as byte offsets; ST(i), segment, control and debug registers as plain numbers), its
    /// memory operand and its immediate (sign- or zero-extended as Iced's GetImmediate says; the first one if there are two) are filled
    /// in before this is called.
    /// </summary>
    /// <param name="instruction">What was decoded.</param>
    /// <param name="op">Receives what the handler needs besides.</param>
    /// <param name="mode">The mode of the block.</param>
    /// <param name="features">What the CPU model has; the same for every block of a processor.</param>
    public static Handler Bind(in Instruction instruction, Op* op, CpuMode mode, CpuFeatures features)
    {
        Handler handler = instruction.Encoding == EncodingKind.VEX ? VexBinder.Bind(in instruction, op, mode) : null;
        if (handler == null)
        {
            handler = IntegerBinder.Bind(in instruction, op, mode);
        }

        if (handler == null)
        {
            handler = IntegerBinder.BindBitManipulation(in instruction, mode, features);
        }

        if (handler == null)
        {
            handler = SimdBinder.Bind(in instruction, op, mode);
        }

        if (handler == null)
        {
            handler = X87Binder.Bind(in instruction, op, mode);
        }

        if (handler == null)
        {
            handler = SimdBinder.BindState(in instruction, op, mode);
        }

        return handler != null ? handler : SystemBinder.Bind(in instruction, op, mode);
    }

    /// <summary>Whether nothing can follow the instruction in its block though it is no jump.</summary>
    public static bool EndsBlock(in Instruction instruction) => SystemBinder.EndsBlock(in instruction);
}
