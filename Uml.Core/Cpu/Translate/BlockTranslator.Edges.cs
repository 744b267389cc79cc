using Iced.Intel;
using Uml.Core.Cpu.CodeCache;
using Uml.Core.Cpu.Contract;

namespace Uml.Core.Cpu.Translate;

/// <summary>Jumps from block to block whose target is known.</summary>
internal sealed unsafe partial class BlockTranslator
{
    private readonly List<Edge> _edges = [];
    private readonly List<SideExit> _exits = [];

    /// <summary>A jump to another block that has not been found yet.</summary>
    private struct Edge
    {
        /// <summary>The displacement of the jump to the code that looks for it.</summary>
        public byte* Jump;
        public int Target;

        /// <summary>For a jump to another page: where it begins, the number it is taken under, and the jump taken when that is not the one.</summary>
        public byte* Start;
        public byte* Epoch;
        public byte* Mismatch;

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

        /// <summary>What flags are made of, if the target can be told; else they are in the host's, or saved.</summary>
        public FlagState Source;
        public RflagsBits InHost;
        public bool IsSaved;
    }

    /// <summary>Goes to a known target. Flags are saved already, or made of the source.</summary>
    private void EmitEdge(int target, in FlagState source)
    {
        if (IsInPage(target))
        {
            _edges.Add(new Edge { Jump = _code.Jump(), Target = target, Source = source });
            return;
        }

        // The mapping of another page may change: the jump is taken only in the epoch it was found in.
        byte* start = _code.Position;
        byte* mismatch = EmitEpochCheck(out byte* epoch);
        _code.ArithmeticMemoryImmediate(Arithmetic.Add, GuestRegisters.State, StateLayout.PageRip, target & ~0xFFF, IsLong);
        _edges.Add(new Edge { Jump = _code.Jump(), Target = target, Start = start, Epoch = epoch, Mismatch = mismatch, Source = source });
    }

    /// <summary>Compares the epoch with a number that is not known yet.</summary>
    /// <param name="epoch">Where the number goes.</param>
    /// <returns>The jump taken in another epoch.</returns>
    private byte* EmitEpochCheck(out byte* epoch)
    {
        _code.Load(GuestRegisters.Scratch, GuestRegisters.State, StateLayout.JumpTable);
        _code.Memory(0x81, Arithmetic.Cmp, GuestRegisters.Scratch, JumpTables.EpochOffset, wide: false);
        epoch = _code.Position;
        _code.Int32(0);
        return _code.JumpIf(Condition.Ne);
    }

    /// <summary>What flags are made of at the end of a block; none when they are saved.</summary>
    private FlagState SourceAtEnd => _savedFlags ? default : _source;

    private static bool IsInPage(int offset) => (offset & ~0xFFF) == 0;

    private void EmitSideExit(in SideExit exit)
    {
        _code.Bind(exit.Jump);
        if (exit.Source.IsNone)
        {
            EnsureSaved(exit.IsSaved, exit.InHost, default);
        }

        if (exit.Remaining != 0)
        {
            _code.ArithmeticMemoryImmediate(Arithmetic.Add, GuestRegisters.State, StateLayout.Remaining, exit.Remaining);
        }

        EmitEdge(exit.Target, in exit.Source);
    }

    private void EmitUnresolved(in Edge edge)
    {
        byte* jump = edge.Jump;
        if (!edge.Source.IsNone)
        {
            jump = EmitSaving(in edge);
        }

        if (edge.Start != null)
        {
            // Linked for another address space, perhaps: the table may know.
            _code.Bind(edge.Mismatch);
            SaveRemade(in edge.Source);
            _code.Load(GuestRegisters.Address, GuestRegisters.State, StateLayout.PageRip);
            _code.LoadAddress(GuestRegisters.Address, GuestRegisters.Address, edge.Target, IsLong);
            EmitLookup();
            byte* miss = _code.JumpIf(Condition.Ne);
            EmitEnterFound();
            _code.Bind(miss);
        }

        byte* unlinked = _code.Position;
        _code.Bind(jump);
        _code.Call(_stubs.Link(_flavor));
        _code.Annotation(_sites.Add(new Site
        {
            Block = _block,
            Flavor = _flavor,
            Target = edge.Target,
            Jump = jump,
            Unlinked = unlinked,
            Epoch = edge.Epoch,
            HasDirect = !edge.Source.IsNone,
        }));
        if (edge.Start != null)
        {
            _code.Jump(edge.Start);
        }
    }

    /// <summary>
    /// A jump whose target is not translated for the source that its flags come from: saves them on the way to the translation for all. If
    /// that happens often, there is to be one for this source (see <see cref="Specializations"/>).
    /// </summary>
    /// <returns>The jump to the translation for all.</returns>
    private byte* EmitSaving(in Edge edge)
    {
        byte* start = _code.Position;
        _code.Bind(edge.Jump);
        SaveRemade(in edge.Source);
        int site = _sites.Add(new Site
        {
            Block = _block,
            Flavor = _flavor,
            Jump = edge.Jump,
            Unlinked = start,
            Uses = _usesToSpecialize,
            Source = _sites.AddSource(in edge.Source),
        });
        _code.MoveImmediate(GuestRegisters.Scratch, (long)&_sites.Sites[site].Uses);
        _code.ArithmeticMemoryImmediate(Arithmetic.Sub, GuestRegisters.Scratch, 0, 1, wide: false);
        byte* often = _code.JumpIf(Condition.S);
        byte* rest = _code.Position;
        byte* jump = _code.Jump();
        _code.Bind(often);
        _code.Call(_stubs.Specialize(_flavor));
        _code.Annotation(site);
        _code.Jump(rest);
        return jump;
    }
}
