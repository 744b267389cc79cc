using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interpreter;

/// <summary>Runs decoded blocks by calling their handlers: the portable engine, and the reference for the translator.</summary>
internal static unsafe class InterpreterEngine
{
    /// <summary>Runs from <see cref="CpuState.Rip"/> until an exit, where RIP and the count of retired instructions are exact.</summary>
    public static ExitCode Execute(CpuState* s, BlockCache blocks)
    {
        Block* block = blocks.Find(s, s->Rip);
        if (block == null)
        {
            return s->Engine->Exit;
        }

        if (block->Count > s->Hot.Remaining)
        {
            return Walk(s, block, s->Hot.Remaining);
        }

        // SAFETY: blocks stay in place until the cache is emptied, which happens only in Find, when the next block is entered.
        Op* op = Flow.Enter(s, block, s->Rip);
        while (op != null)
        {
            BlockState.Of(s)->CurrentOp = op;
            op = op->Handler(s, op);
        }

        return Finish(s);
    }

    /// <summary>Runs one instruction, or one repetition of a REP instruction.</summary>
    public static ExitCode Step(CpuState* s, BlockCache blocks)
    {
        Block* block = blocks.Find(s, s->Rip);
        return block == null ? s->Engine->Exit : Walk(s, block, 1);
    }

    /// <summary>Runs the first instructions of a block, one by one.</summary>
    private static ExitCode Walk(CpuState* s, Block* block, long count)
    {
        s->Engine->BlockRip = s->Rip;
        BlockState.Of(s)->CurrentBlock = block;
        s->Hot.Remaining -= block->Count;
        Op* op = Block.Ops(block);
        for (; count > 0; count--)
        {
            BlockState.Of(s)->CurrentOp = op;
            op = op == Block.Ops(BlockState.Of(s)->CurrentBlock) ? BlockState.Of(s)->CurrentBlock->FirstHandler(s, op) : op->Handler(s, op);
            if (op == null)
            {
                return Finish(s);
            }
        }

        // The next operation is of this block, or the first one of a block that a jump entered.
        Flow.Unretire(s, op);
        s->Rip = Flow.Current(s, op);
        return ExitCode.BlockEnd;
    }

    private static ExitCode Finish(CpuState* s)
    {
        if (s->Engine->Exit == ExitCode.Exception)
        {
            Flow.Unretire(s, BlockState.Of(s)->CurrentOp);
            s->Rip = Flow.Current(s, BlockState.Of(s)->CurrentOp);
            return ExitCode.ExceptionAtRip;
        }

        return s->Engine->Exit;
    }
}
