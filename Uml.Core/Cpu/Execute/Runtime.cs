using System.Runtime.InteropServices;
using Uml.Core.Cpu.Interpreter;
using Uml.Core.Cpu.Paging;

namespace Uml.Core.Cpu.Execute;

/// <summary>
/// What translated code calls. All of the guest's state is in <see cref="CpuState"/> then, arithmetic flags in
/// <see cref="CpuState.FlagWord"/>. Exceptions must not get out: there is emitted code on the stack.
/// </summary>
internal static unsafe class Runtime
{
    public const nint Continue = 0, Leave = 1;

    /// <summary>Finds the operand of a memory access.</summary>
    /// <returns>Its host address; or, with <see cref="CpuState.CommitSize"/> set when it is to be written, that of a buffer; or <see cref="Leave"/>.</returns>
    [UnmanagedCallersOnly]
    public static nint Access(CpuState* s, byte* returnAddress, ulong linear)
    {
        VirtualCpu cpu = VirtualCpu.From(s);
        try
        {
            Site* site = Enter(s, cpu, returnAddress);
            byte* operand = Mmu.Operand(s, linear, site);
            return operand == null ? LeaveFor(s, null) : (nint)operand;
        }
        catch (Exception e)
        {
            return Fail(s, cpu, e);
        }
    }

    /// <summary>Writes the buffer that an instruction has written to instead of memory.</summary>
    [UnmanagedCallersOnly]
    public static nint Commit(CpuState* s, byte* returnAddress, ulong unused)
    {
        VirtualCpu cpu = VirtualCpu.From(s);
        try
        {
            Site* site = Enter(s, cpu, returnAddress);
            Mmu.CommitOperand(s);
            return ContinueBehind(s, site);
        }
        catch (Exception e)
        {
            return Fail(s, cpu, e);
        }
    }

    /// <summary>Runs an instruction in the interpreter.</summary>
    [UnmanagedCallersOnly]
    public static nint Handle(CpuState* s, byte* returnAddress, ulong unused)
    {
        VirtualCpu cpu = VirtualCpu.From(s);
        try
        {
            Site* site = Enter(s, cpu, returnAddress);
            Block* block = site->Block;
            ulong epoch = cpu.Blocks.Epoch;
            Op* op = s->CurrentOp;
            FlagWords.ToLazy(s);
            Op* next = site->OpIndex == 0 ? block->FirstHandler(s, op) : op->Handler(s, op);
            FlagWords.FromLazy(s);
            if (next == null || cpu.Blocks.Epoch != epoch)
            {
                return LeaveFor(s, next);
            }

            if (next == op + 1)
            {
                return site->Flavor == Flavor.Vector && !FlagWords.IsMasked(s) ? LeaveFor(s, next) : ContinueBehind(s, site);
            }

            return GoOn(s, cpu, s->CurrentBlock, site, next, enterTable: op->IsComputedJump);
        }
        catch (Exception e)
        {
            return Fail(s, cpu, e);
        }
    }

    /// <summary>Runs the first instruction of a block in the interpreter, and leaves.</summary>
    [UnmanagedCallersOnly]
    public static nint Interpret(CpuState* s, byte* returnAddress, ulong unused)
    {
        VirtualCpu cpu = VirtualCpu.From(s);
        try
        {
            Site* site = Enter(s, cpu, returnAddress);
            FlagWords.ToLazy(s);
            Op* next = site->Block->FirstHandler(s, s->CurrentOp);
            FlagWords.FromLazy(s);
            return LeaveFor(s, next);
        }
        catch (Exception e)
        {
            return Fail(s, cpu, e);
        }
    }

    /// <summary>Finds the target of a direct jump, and points the jump to it once it is translated.</summary>
    [UnmanagedCallersOnly]
    public static nint Link(CpuState* s, byte* returnAddress, ulong unused)
    {
        VirtualCpu cpu = VirtualCpu.From(s);
        try
        {
            Site* site = cpu.Jit!.Sites.At(returnAddress);
            ulong rip = s->PageRip + (ulong)(long)site->Target;
            byte* jump = site->Jump;
            ulong epoch = cpu.Blocks.Epoch;
            Block* block = cpu.Blocks.Find(s, rip);
            if (block == null)
            {
                return LeaveFor(s, null);
            }

            if (cpu.Blocks.Epoch != epoch)
            {
                return LeaveFor(s, Flow.Enter(s, block, rip));
            }

            if (jump != null && cpu.Jit.IsTranslated(block, site->Flavor) && cpu.Blocks.Epoch == epoch)
            {
                cpu.Jit.Point(jump, block->Translations[(int)site->Flavor].Entry);
            }

            Op* next = Flow.Enter(s, block, rip);
            return next == null ? LeaveFor(s, null) : GoOn(s, cpu, block, site, next, enterTable: jump == null);
        }
        catch (Exception e)
        {
            return Fail(s, cpu, e);
        }
    }

    private static Site* Enter(CpuState* s, VirtualCpu cpu, byte* returnAddress)
    {
        Site* site = cpu.Jit!.Sites.At(returnAddress);
        Block* block = site->Block;
        s->CurrentBlock = block;
        s->BlockRip = s->PageRip + (block->Physical & 0xFFF);
        s->CurrentOp = Block.Ops(block) + site->OpIndex;
        return site;
    }

    /// <summary>Goes on behind the instruction, unless what it has written belongs to the block that runs.</summary>
    private static nint ContinueBehind(CpuState* s, Site* site)
    {
        if (site->Block->Mode == s->Mode)
        {
            return Continue;
        }

        Flow.Unretire(s, s->CurrentOp + 1);
        s->Rip = Flow.Next(s, s->CurrentOp);
        s->Exit = ExitCode.BlockEnd;
        return LeaveFor(s, null);
    }

    /// <summary>Goes on with a block that has been entered: in its translation when it has one, else in the interpreter.</summary>
    private static nint GoOn(CpuState* s, VirtualCpu cpu, Block* block, Site* site, Op* next, bool enterTable)
    {
        Flavor flavor = site->Flavor;
        ulong epoch = cpu.Blocks.Epoch;
        if (next != Block.Ops(block) || (flavor != Flavor.Integer && block->Mode != site->Block->Mode) ||
            !cpu.Jit!.IsTranslated(block, flavor) || cpu.Blocks.Epoch != epoch)
        {
            return LeaveFor(s, next);
        }

        s->PageRip = s->BlockRip & ~0xFFFUL;
        if (enterTable)
        {
            cpu.Jit.Remember(s, block, flavor);
        }

        return (nint)block->Translations[(int)flavor].Body;
    }

    private static nint LeaveFor(CpuState* s, Op* next)
    {
        s->NextOp = next;
        return Leave;
    }

    private static nint Fail(CpuState* s, VirtualCpu cpu, Exception e)
    {
        cpu.Jit!.Failure = System.Runtime.ExceptionServices.ExceptionDispatchInfo.Capture(e);
        return LeaveFor(s, null);
    }
}
