using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.CodeCache;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;
using Uml.Core.Memory;

namespace Uml.Core.Cpu.Execute;

/// <summary>
/// The slow paths that translated code calls. All of the guest's state is in <see cref="CpuState"/> then, with the arithmetic flags in
/// <see cref="HotWords.FlagWord"/>. Exceptions must not leave them: there is emitted code on the stack, which cannot be unwound.
/// </summary>
// SAFETY: emitted stubs alone call these (SlowPaths): s is the state of the processor that runs on this thread, and returnAddress one that
// a site's number follows. The site and its block are valid because the translation that called is. Behind anything that may decode a
// block, pointers to blocks are used again only if the epoch of the cache is the same. Handlers are called as the handler contract (Op)
// says.
internal static unsafe class Runtime
{
    private const nint Continue = SlowPaths.Continue, Leave = SlowPaths.Leave;

    /// <summary>The entry points.</summary>
    public static SlowPaths Table => new()
    {
        Access = &Access,
        Commit = &Commit,
        Handle = &Handle,
        HandleAside = &HandleAside,
        Lookup = &Lookup,
        Link = &Link,
        CheckPage = &CheckPage,
        Specialize = &Specialize,
        Reenter = &Reenter,
        Interpret = &Interpret,
        PrepareX87 = &PrepareX87,
        Fault = &Fault,
    };

    /// <summary>Finds the operand of a memory access.</summary>
    /// <returns>Its host address; or, with <see cref="EngineState.CommitSize"/> set when it is to be written, that of a buffer; or <see cref="Leave"/>.</returns>
    [UnmanagedCallersOnly]
    public static nint Access(CpuState* s, byte* returnAddress, ulong linear) => Guard(s, returnAddress, linear, &Access);

    private static nint Access(CpuState* s, TranslatedCode jit, Site* site, ulong linear)
    {
        Enter(s, site);
        byte* operand = MemoryOperands.Find(s, linear, site);
        if (operand != null)
        {
            return (nint)operand;
        }

        return LeaveFor(s, s->Engine->Exit == ExitCode.Exception && StepwiseStores.Contain(BlockState.Of(s)->CurrentOp) ? FaultInHandler(s, site) : null);
    }

    /// <summary>
    /// Has the instruction's handler raise the fault of a store, which knows what the instruction changes before it faults. Its store may
    /// succeed after all, when another agent has changed the paging structures meanwhile.
    /// </summary>
    private static Op* FaultInHandler(CpuState* s, Site* site)
    {
        bool hasX87 = site->Flavor == Flavor.X87;
        if (hasX87)
        {
            X87Images.Load(s);
        }

        Op* next = RunHandler(s, site);
        if (hasX87)
        {
            // Where the stub expects it.
            X87Images.Store(s);
        }

        return next;
    }

    /// <summary>Writes the buffer that an instruction has written to instead of memory.</summary>
    [UnmanagedCallersOnly]
    public static nint Commit(CpuState* s, byte* returnAddress, ulong unused) => Guard(s, returnAddress, unused, &Commit);

    private static nint Commit(CpuState* s, TranslatedCode jit, Site* site, ulong unused)
    {
        Enter(s, site);
        MemoryOperands.Commit(s);
        return ContinueBehind(s, site);
    }

    /// <summary>
    /// Enters the target of a computed jump into the jump table and retries the lookup; a target that is not translated is left to the
    /// handler.
    /// </summary>
    [UnmanagedCallersOnly]
    public static nint Lookup(CpuState* s, byte* returnAddress, ulong target) => Guard(s, returnAddress, target, &Lookup);

    private static nint Lookup(CpuState* s, TranslatedCode jit, Site* site, ulong target)
    {
        s->Engine->Counters.JumpSearches++;
        if (site->Form != Form.CallIndirect && Mmu.IsCanonical(s, target))
        {
            // A data access may have evicted the page's TLB entry, without which the jump would never be entered. The handler raises the
            // fault again, if there is one. Not for a call, whose push may fault first.
            Mmu.TranslateFetch(s, target, out _);
        }

        return !HasToStop(s) && Remember(s, jit, target, site->Flavor) != null ? Continue : (nint)site->Unlinked;
    }

    /// <summary>Runs an instruction in the interpreter.</summary>
    [UnmanagedCallersOnly]
    public static nint Handle(CpuState* s, byte* returnAddress, ulong unused) => Guard(s, returnAddress, unused, &Handle);

    /// <summary>Runs an instruction in the interpreter that does not use the x87 unit, whose state can stay in the image.</summary>
    [UnmanagedCallersOnly]
    public static nint HandleAside(CpuState* s, byte* returnAddress, ulong unused) => Guard(s, returnAddress, unused, &HandleAside);

    private static nint Handle(CpuState* s, TranslatedCode jit, Site* site, ulong unused) => Handle(s, jit, site, sharesX87: true);

    private static nint HandleAside(CpuState* s, TranslatedCode jit, Site* site, ulong unused) => Handle(s, jit, site, sharesX87: false);

    private static nint Handle(CpuState* s, TranslatedCode jit, Site* site, bool sharesX87)
    {
        Enter(s, site);
        Block* block = site->Block;
        ulong epoch = jit.Blocks.Epoch;
        Op* op = BlockState.Of(s)->CurrentOp;
        s->Engine->Counters.HandlerCalls++;
        TakeX87(s);
        Op* next = RunHandler(s, site);
        if (next == null || jit.Blocks.Epoch != epoch)
        {
            return LeaveFor(s, next);
        }

        if (next == op + 1)
        {
            return MayGoOn(s, site->Flavor, sharesX87) ? ContinueBehind(s, site) : LeaveFor(s, next);
        }

        return GoOn(s, jit, BlockState.Of(s)->CurrentBlock, site->Flavor, block->Mode, next, sharesX87);
    }

    /// <summary>Runs the first instruction of a block in the interpreter, and exits.</summary>
    [UnmanagedCallersOnly]
    public static nint Interpret(CpuState* s, byte* returnAddress, ulong unused) => Guard(s, returnAddress, unused, &Interpret);

    private static nint Interpret(CpuState* s, TranslatedCode jit, Site* site, ulong unused)
    {
        Enter(s, site);
        FlagWords.ToLazy(s);
        Op* next = site->Block->FirstHandler(s, BlockState.Of(s)->CurrentOp);
        FlagWords.FromLazy(s);
        return LeaveFor(s, next);
    }

    /// <summary>Prepares to load the host's x87 unit. When that is not allowed the first instruction of the block runs in the interpreter.</summary>
    [UnmanagedCallersOnly]
    public static nint PrepareX87(CpuState* s, byte* returnAddress, ulong unused) => Guard(s, returnAddress, unused, &PrepareX87);

    private static nint PrepareX87(CpuState* s, TranslatedCode jit, Site* site, ulong unused)
    {
        if (!X87Images.IsMasked(s))
        {
            return Interpret(s, jit, site, unused);
        }

        X87Images.Store(s);
        return Continue;
    }

    /// <summary>Loads the x87 state from the image, if it is there.</summary>
    public static void TakeX87(CpuState* s)
    {
        if (s->Engine->X87Left != 0)
        {
            X87Images.Load(s);
        }
    }

    /// <summary>
    /// Whether translated code of a flavor may continue after the interpreter ran: exceptions may be unmasked now. Prepares the x87 image
    /// again if the interpreter has used it.
    /// </summary>
    private static bool MayGoOn(CpuState* s, Flavor flavor, bool sharesX87)
    {
        if (flavor == Flavor.X87 && sharesX87)
        {
            if (!X87Images.IsMasked(s))
            {
                return false;
            }

            X87Images.Store(s);
        }

        return flavor == Flavor.Integer || FlagWords.IsMasked(s);
    }

    /// <summary>Finds the target of a direct jump, and chains the jump to it once it is translated.</summary>
    [UnmanagedCallersOnly]
    public static nint Link(CpuState* s, byte* returnAddress, ulong unused) => Guard(s, returnAddress, unused, &Link);

    private static nint Link(CpuState* s, TranslatedCode jit, Site* site, ulong unused)
    {
        ulong rip = TargetOf(s, site);
        if (site->Epoch != null && !HasToStop(s) && Remember(s, jit, rip, site->Flavor, (int*)site->Epoch) is var target && target != null)
        {
            s->Engine->Counters.ChainHits++;
            jit.Links.Link(site, target);
            return Continue;
        }

        bool isNear = site->Epoch == null;
        ulong epoch = jit.Blocks.Epoch;
        Block* block = jit.Blocks.Find(s, rip);
        if (block == null)
        {
            return LeaveFor(s, null);
        }

        if (jit.Blocks.Epoch != epoch)
        {
            return LeaveFor(s, Flow.Enter(s, block, rip));
        }

        // Without an epoch the link outlives changes of the page's mapping: chain only if the page still maps to the same frame.
        if (isNear && block->HostPage == site->Block->HostPage && jit.IsTranslated(block, site->Flavor))
        {
            s->Engine->Counters.ChainHits++;
            jit.Links.Link(site, block);
        }

        Op* next = Flow.Enter(s, block, rip);
        return next == null ? LeaveFor(s, null) : GoOn(s, jit, block, site->Flavor, site->Block->Mode, next);
    }

    /// <summary>For a jump that often saves flags for its target only: translates the target for their source.</summary>
    [UnmanagedCallersOnly]
    public static nint Specialize(CpuState* s, byte* returnAddress, ulong unused) => Guard(s, returnAddress, unused, &Specialize);

    private static nint Specialize(CpuState* s, TranslatedCode jit, Site* site, ulong unused)
    {
        // The site behind it is the same jump with saved flags, and has the target.
        Block* target = (site + 1)->LinkedTo;
        site->Uses = target != null && !jit.Specialize(site, target) ? int.MaxValue : jit.Links.UsesToSpecialize;
        return Continue;
    }

    /// <summary>
    /// For a block that crosses a page boundary: checks whether the second page still maps to the frame it was decoded from.
    /// </summary>
    [UnmanagedCallersOnly]
    public static nint CheckPage(CpuState* s, byte* returnAddress, ulong unused) => Guard(s, returnAddress, unused, &CheckPage);

    private static nint CheckPage(CpuState* s, TranslatedCode jit, Site* site, ulong unused)
    {
        ulong next = (s->Hot.PageRip + GuestRam.PageSize) & s->IpMask;
        bool isMapped = Mmu.TranslateFetch(s, next, out ulong second);

        // The walk may have dropped the block, by setting accessed bits in memory that it was decoded from.
        if (HasToStop(s) || !isMapped || second != site->Block->SecondPage || site->Block->Mode != s->Mode)
        {
            return (nint)site->Unlinked;
        }

        *(int*)site->Epoch = MemoryOperands.NoteJump(s, jit.Jumps, next);
        return Continue;
    }

    /// <summary>
    /// Whether the poll word is set: then no lookup is retried, and execution continues on a path that exits. The retry succeeds unless the
    /// translator has a defect; even then the machine must be stoppable.
    /// </summary>
    private static bool HasToStop(CpuState* s) => Volatile.Read(ref s->Engine->Poll) != 0;

    /// <summary>Where a direct jump or call leads.</summary>
    private static ulong TargetOf(CpuState* s, Site* site) => (s->Hot.PageRip + (ulong)(long)site->Target) & s->IpMask;

    /// <summary>Sets the running block and operation, as the interpreter has them.</summary>
    private static void Enter(CpuState* s, Site* site)
    {
        Block* block = site->Block;
        BlockState.Of(s)->CurrentBlock = block;
        s->Engine->BlockRip = s->Hot.PageRip + Page.Offset(block->Physical);
        BlockState.Of(s)->CurrentOp = Block.Ops(block) + site->OpIndex;
    }

    /// <summary>
    /// Runs the handler of the running operation; for the first one its own, not that which counts runs or enters the translation.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Op* RunHandler(CpuState* s, Site* site)
    {
        FlagWords.ToLazy(s);
        Op* op = BlockState.Of(s)->CurrentOp;
        Op* next = site->OpIndex == 0 ? site->Block->FirstHandler(s, op) : op->Handler(s, op);
        FlagWords.FromLazy(s);
        return next;
    }

    /// <summary>Enters a jump's target into the jump table if it is translated and mapped.</summary>
    /// <param name="epoch">Where a direct jump keeps the epoch of the table. Its target is linked, and so has to be there still.</param>
    /// <returns>The target, or null.</returns>
    private static Block* Remember(CpuState* s, TranslatedCode jit, ulong rip, Flavor flavor, int* epoch = null)
    {
        JumpTargets.Target* known = jit.Targets.Find(s, rip, flavor);
        Block* block;
        byte* code;
        if (known != null && (epoch == null || known->Block->Mode == s->Mode))
        {
            block = known->Block;
            code = known->Code;
        }
        else
        {
            block = jit.Blocks.Peek(s, rip);
            if (block == null || !jit.IsTranslated(block, flavor))
            {
                return null;
            }

            code = block->Translations[(int)flavor].Entry;
            jit.Targets.Enter(s, rip, flavor, block);
        }

        int number = MemoryOperands.EnterJump(s, jit.Jumps, flavor, rip, code);
        if (epoch != null)
        {
            *epoch = number;
        }

        return block;
    }

    /// <summary>Continues behind the instruction, or exits when its write has dropped the running block.</summary>
    private static nint ContinueBehind(CpuState* s, Site* site)
    {
        if (site->Block->Mode == s->Mode)
        {
            return Continue;
        }

        Flow.Unretire(s, BlockState.Of(s)->CurrentOp + 1);
        s->Rip = FinishPush(s, site);
        s->Engine->Exit = ExitCode.BlockEnd;
        return LeaveFor(s, null);
    }

    /// <summary>Does what translated code would do behind the store of a push.</summary>
    /// <returns>RIP of the next instruction.</returns>
    private static ulong FinishPush(CpuState* s, Site* site)
    {
        if (site->Form is not (Form.Push or Form.PushImmediate or Form.PushMemory or Form.PushFlags or Form.Call or Form.CallIndirect))
        {
            return Flow.Next(s, BlockState.Of(s)->CurrentOp);
        }

        int word = (s->Mode & CpuMode.Long64) != 0 ? sizeof(ulong) : sizeof(uint);
        s->Gpr[GuestRegisters.Rsp] = (s->Gpr[GuestRegisters.Rsp] - (ulong)word) & s->StackMask;
        return site->Form switch
        {
            Form.Call => TargetOf(s, site),
            Form.CallIndirect => s->Hot.SecondSpill,
            _ => Flow.Next(s, BlockState.Of(s)->CurrentOp),
        };
    }

    /// <summary>Continues with a block that has been entered: in its translation if it has one, else in the interpreter.</summary>
    private static nint GoOn(CpuState* s, TranslatedCode jit, Block* block, Flavor flavor, CpuMode from, Op* next, bool sharesX87 = false)
    {
        // After a change of mode vector registers are likely not used for long: continue in the flavor for general registers only.
        if (next != Block.Ops(block) || (flavor != Flavor.Integer && block->Mode != from) ||
            !jit.IsTranslated(block, flavor) || !MayGoOn(s, flavor, sharesX87))
        {
            return LeaveFor(s, next);
        }

        s->Hot.PageRip = Page.Base(s->Engine->BlockRip);
        return (nint)block->Translations[(int)flavor].Body;
    }

    /// <summary>Continues at an address whose translation was dropped, and replaces it in the jump table.</summary>
    [UnmanagedCallersOnly]
    public static nint Reenter(CpuState* s, byte* returnAddress, ulong rip) => Guard(s, returnAddress, rip, &Reenter);

    private static nint Reenter(CpuState* s, TranslatedCode jit, Site* site, ulong rip)
    {
        Flavor flavor = site->Flavor;
        ulong epoch = jit.Blocks.Epoch;
        Block* block = jit.Blocks.Find(s, rip);
        Op* next = block == null ? null : Flow.Enter(s, block, rip);
        if (next == null || jit.Blocks.Epoch != epoch)
        {
            return LeaveFor(s, next);
        }

        jit.Targets.Remove(rip, flavor);
        Remember(s, jit, rip, flavor);
        return GoOn(s, jit, block, flavor, s->Mode, next);
    }

    /// <summary>
    /// After a fault in emitted code: prepares the exception with the report, which is thrown once that code is off the stack.
    /// </summary>
    [UnmanagedCallersOnly]
    public static void Fault(CpuState* s)
    {
        BlockState.Of(s)->NextOp = null;
        TranslatedCode jit = TranslatedCode.Of(s);
        Exception fault;
        try
        {
            fault = jit.ReportFault();
        }
#pragma warning disable CA1031 // It is thrown again behind emitted code.
        catch (Exception e)
#pragma warning restore CA1031
        {
            fault = e;
        }

        jit.Failure = System.Runtime.ExceptionServices.ExceptionDispatchInfo.Capture(fault);
    }

    private static nint LeaveFor(CpuState* s, Op* next)
    {
        BlockState.Of(s)->NextOp = next;
        return Leave;
    }

    /// <summary>
    /// Calls a slow path with the site of a return address. An exception is rethrown once translated code is off the stack.
    /// </summary>
    private static nint Guard(
        CpuState* s, byte* returnAddress, ulong argument, delegate*<CpuState*, TranslatedCode, Site*, ulong, nint> function)
    {
        TranslatedCode jit = TranslatedCode.Of(s);
        Slices.Join(s);
        try
        {
            nint result = function(s, jit, jit.Links.Sites.At(returnAddress), argument);
            if (result != Leave)
            {
                Slices.Split(s);
            }

            return result;
        }
        catch (Exception e)
        {
            jit.Failure = System.Runtime.ExceptionServices.ExceptionDispatchInfo.Capture(e);
            return LeaveFor(s, null);
        }
    }
}
