using Uml.Core.Cpu.CodeCache;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Emit;
using Uml.Core.Memory;

namespace Uml.Core.Cpu.Translate;

/// <summary>
/// Jumps from block to block whose target is known. Until the runtime links them to a translation they lead to code that asks it to, out of
/// line.
/// </summary>
/// <param name="code">Writes it.</param>
/// <param name="calls">Calls stubs.</param>
/// <param name="sites">Has the sources of flags that jumps pass on.</param>
/// <param name="jumpTable">For jumps to other pages.</param>
/// <param name="flagEmitter">Moves flags.</param>
/// <param name="flags">Knows where they are.</param>
/// <param name="context">The block.</param>
/// <param name="usesToSpecialize">Times that a jump saves flags for the translation for all before there is to be one for their source.</param>
internal sealed unsafe class EdgeEmitter(
    HostAssembler code,
    StubCalls calls,
    SiteTable sites,
    JumpTableEmitter jumpTable,
    FlagEmitter flagEmitter,
    FlagTracker flags,
    BlockContext context,
    int usesToSpecialize)
{
    // SAFETY: jumps and epochs are positions in the block that is emitted; what a site notes of them is patched by the code cache, which knows
    // when the block's translation goes. A count of uses is addressed in the site table, which does not move.
    private readonly List<Edge> _edges = [];
    private readonly List<SideExit> _exits = [];

    /// <summary>A jump to another block that has not been found yet.</summary>
    private struct Edge
    {
        /// <summary>The displacement of the jump to the code that looks for it.</summary>
        public byte* Jump;
        public int Target;

        /// <summary>For a jump to another page: where it begins, the number it is taken under, and the jump taken when that is not the one.</summary>
        public byte* Start, Epoch, Mismatch;

        /// <summary>What the flags are made of there; none when they are saved.</summary>
        public FlagState Source;
    }

    /// <summary>A jump taken in the middle of a block, or to another page: there is something to do on the way.</summary>
    private struct SideExit
    {
        public byte* Jump;
        public int Target;

        /// <summary>Instructions of the block that are not run.</summary>
        public int Remaining;

        /// <summary>Where the flags are. They have a source only if the target can take flags by it.</summary>
        public FlagsNow Flags;
    }

    public void Begin()
    {
        _edges.Clear();
        _exits.Clear();
    }

    /// <summary>Goes to a known target at the end of the block.</summary>
    public void Emit(int target) => Emit(target, flags.Now.SourceAtEnd);

    /// <summary>Takes a jump that was just emitted for one to a known target.</summary>
    /// <param name="index">The conditional jump.</param>
    /// <param name="jump">The jump taken.</param>
    public void AddTaken(int index, byte* jump)
    {
        ref Plan plan = ref context[index];
        ref FlagsNow now = ref flags.Now;
        int target = plan.BranchTarget;
        if (IsInPage(target) && !plan.IsSideExit)
        {
            _edges.Add(new Edge { Jump = jump, Target = target, Source = now.SourceAtEnd });
            return;
        }

        FlagState source = now.IsSaved ? default : plan.IsSideExit ? flags.SourceAtExit(in plan) : now.Source;
        _exits.Add(new SideExit { Jump = jump, Target = target, Remaining = context.Count - (index + 1), Flags = now with { Source = source } });
    }

    /// <summary>Emits what is done on the way of side exits. They are edges then.</summary>
    public void EmitExits()
    {
        for (int i = 0; i < _exits.Count; i++)
        {
            EmitExit(_exits[i]);
        }
    }

    /// <summary>Emits where edges lead until they are linked.</summary>
    public void EmitUnlinked()
    {
        for (int i = 0; i < _edges.Count; i++)
        {
            EmitUnlinked(_edges[i]);
        }
    }

    private static bool IsInPage(int offset) => offset is >= 0 and < GuestRam.PageSize;

    private void Emit(int target, in FlagState source)
    {
        if (IsInPage(target))
        {
            _edges.Add(new Edge { Jump = code.Jump(), Target = target, Source = source });
            return;
        }

        // The mapping of another page may change: the jump is taken only in the epoch it was found in.
        byte* start = code.Position;
        byte* mismatch = jumpTable.EmitEpochCheck(out byte* epoch);
        code.ArithmeticMemoryImmediate(Arithmetic.Add, GuestRegisters.State, StateLayout.PageRip, target & -GuestRam.PageSize, context.IsLong);
        _edges.Add(new Edge { Jump = code.Jump(), Target = target, Start = start, Epoch = epoch, Mismatch = mismatch, Source = source });
    }

    private void EmitExit(in SideExit exit)
    {
        code.Bind(exit.Jump);
        if (exit.Flags.Source.IsNone)
        {
            flags.EnsureSaved(in exit.Flags);
        }

        if (exit.Remaining != 0)
        {
            code.ArithmeticMemoryImmediate(Arithmetic.Add, GuestRegisters.State, StateLayout.Remaining, exit.Remaining);
        }

        Emit(exit.Target, in exit.Flags.Source);
    }

    private void EmitUnlinked(in Edge edge)
    {
        byte* jump = edge.Source.IsNone ? edge.Jump : EmitSaving(in edge);
        if (edge.Start != null)
        {
            EmitMismatch(in edge);
        }

        byte* unlinked = code.Position;
        code.Bind(jump);
        Site* site = calls.Link();
        site->Target = edge.Target;
        site->Jump = jump;
        site->Unlinked = unlinked;
        site->Epoch = edge.Epoch;
        site->HasDirect = !edge.Source.IsNone;
        if (edge.Start != null)
        {
            code.Jump(edge.Start);
        }
    }

    /// <summary>In another epoch than the one the jump is linked in: linked for another address space, perhaps, so the table may know.</summary>
    private void EmitMismatch(in Edge edge)
    {
        code.Bind(edge.Mismatch);
        flagEmitter.SaveRemade(in edge.Source);
        code.Load(GuestRegisters.Address, GuestRegisters.State, StateLayout.PageRip);
        code.LoadAddress(GuestRegisters.Address, GuestRegisters.Address, edge.Target, context.IsLong);
        jumpTable.EmitLookup();
        byte* miss = code.JumpIf(Condition.Ne);
        jumpTable.EmitEnterFound();
        code.Bind(miss);
    }

    /// <summary>
    /// A jump whose target is not translated for the source that its flags come from: saves them on the way to the translation for all. If
    /// that happens often, there is to be one for this source (see <see cref="Specializations"/>).
    /// </summary>
    /// <returns>The jump to the translation for all.</returns>
    private byte* EmitSaving(in Edge edge)
    {
        byte* start = code.Position;
        code.Bind(edge.Jump);
        flagEmitter.SaveRemade(in edge.Source);
        Site* site = calls.Add();
        site->Jump = edge.Jump;
        site->Unlinked = start;
        site->Uses = usesToSpecialize;
        site->Source = sites.AddSource(in edge.Source);
        code.MoveImmediate(GuestRegisters.Scratch, (long)&site->Uses);
        code.ArithmeticMemoryImmediate(Arithmetic.Sub, GuestRegisters.Scratch, 0, 1, wide: false);
        byte* often = code.JumpIf(Condition.S);
        byte* rest = code.Position;
        byte* jump = code.Jump();
        code.Bind(often);
        calls.Specialize(site);
        code.Jump(rest);
        return jump;
    }
}
