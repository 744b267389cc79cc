using Uml.Core.Cpu.Emit;

namespace Uml.Core.Cpu.Translate;

/// <summary>Jumps and calls to a known target.</summary>
/// <param name="code">Writes it.</param>
/// <param name="flags">Brings flags.</param>
/// <param name="stack">Pushes return addresses.</param>
/// <param name="edges">Goes to the target.</param>
/// <param name="context">The block.</param>
internal sealed unsafe class JumpEmitter(HostAssembler code, FlagTracker flags, StackEmitter stack, EdgeEmitter edges, BlockContext context)
{
    // SAFETY: the jump taken is a position in the block that is emitted.

    /// <summary>JMP.</summary>
    public void EmitJump(int index) => edges.Emit(context[index].BranchTarget);

    /// <summary>Jcc.</summary>
    public void EmitConditionalJump(int index)
    {
        int condition = flags.RequireCondition(in context[index]);
        edges.AddTaken(index, code.JumpIf(condition));
    }

    /// <summary>CALL.</summary>
    public void EmitCall(int index)
    {
        stack.EmitPushReturn(index);
        edges.Emit(context[index].BranchTarget);
    }
}
