using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Blocks;

/// <summary>How system instructions leave their block.</summary>
// SAFETY: handlers: the handler contract (Op). CurrentBlock is the block that op is of.
internal static unsafe class BlockExit
{
    /// <summary>Ends the block behind the instruction, wherever in it that is.</summary>
    public static Op* Behind(CpuState* s, Op* op)
    {
        Flow.Unretire(s, op + 1);
        s->Rip = Flow.Next(s, op);
        return Continue(s);
    }

    /// <summary>
    /// Goes on at RIP, which a control transfer has set: straight to the next block, or to the engine's loop when an interrupt can be taken
    /// now or RF is set. Control transfers are always the last operation of their block.
    /// </summary>
    public static Op* Continue(CpuState* s)
    {
        ulong flags = s->SystemFlags;
        int pending = Volatile.Read(ref s->NmiLine) | ((flags & Flags.IF) != 0 ? Volatile.Read(ref s->Engine->InterruptLine) : 0);
        return pending == 0 && (flags & Flags.RF) == 0 ? Flow.Jump(s, s->Rip) : Flow.EndBlock(s, s->Rip);
    }

    /// <summary>Goes on behind an instruction that may have changed the mode, which blocks are keyed by.</summary>
    public static Op* NextOrBehind(CpuState* s, Op* op, CpuMode before) => s->Mode == before ? op + 1 : Behind(s, op);

    /// <summary>Whether an interrupt is pending or the poll word is set.</summary>
    public static bool WantsAttention(CpuState* s) => (Volatile.Read(ref s->Engine->InterruptLine) | Volatile.Read(ref s->Engine->Poll)) != 0;

    /// <summary>
    /// Goes on behind an instruction that inhibits interrupts for one more instruction. Interrupts are polled between blocks only, so
    /// nothing has to be done if that instruction is in the same block; otherwise the engine executes it in single-step mode. So it does
    /// when the budget ends within the block (the count is negative then): the guest may stand still behind this instruction.
    /// </summary>
    public static Op* NextInShadow(CpuState* s, Op* op, bool endBlock = false)
    {
        bool last = op->Offset + op->Length >= BlockState.Of(s)->CurrentBlock->ByteLength;
        if (!endBlock && !last && s->Hot.Remaining >= 0 && !WantsAttention(s))
        {
            return op + 1;
        }

        s->InterruptShadow = true;
        DebugState.RefreshStepping(s);
        return Behind(s, op);
    }
}
