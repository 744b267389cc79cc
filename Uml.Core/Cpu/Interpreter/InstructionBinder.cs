using Iced.Intel;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Control;
using Uml.Core.Cpu.Decode;
using Uml.Core.Cpu.Interpreter.Fpu;
using Uml.Core.Cpu.Interpreter.Integer;
using Uml.Core.Cpu.Interpreter.Simd;
using Uml.Core.Cpu.Interpreter.Vex;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interpreter;

/// <summary>
/// Finds the handler of a decoded instruction by its family. A family's binder returns null for what it does not implement; the instruction
/// then raises #UD in the guest.
/// </summary>
// SAFETY: op is the operation being decoded (IInstructionBinder). Each binder returns a handler of the instruction's own form and operand
// width, which is what the handler contract (Op) asks of offsets.
internal sealed unsafe class InstructionBinder : IInstructionBinder
{
    /// <inheritdoc/>
    public Handler NotImplemented => &MiscHandlers.NotImplemented;

    /// <inheritdoc/>
    public Handler Bind(in Instruction instruction, Op* op, CpuMode mode, CpuFeatures features)
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

        if (handler == null)
        {
            handler = SystemBinder.Bind(in instruction, op);
        }

        return handler != null ? handler : IntegerBinder.BindHint(in instruction);
    }

    /// <inheritdoc/>
    public bool EndsBlock(in Instruction instruction) => SystemBinder.EndsBlock(in instruction);
}
