using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Emit;

namespace Uml.Core.Cpu.Translate;

/// <summary>Calls of the interpreter's handlers: for instructions that are not translated, and out of line for cases of others.</summary>
/// <param name="code">Writes it.</param>
/// <param name="calls">Calls stubs.</param>
/// <param name="flagEmitter">Moves flags.</param>
/// <param name="flags">Knows where they are.</param>
/// <param name="context">The block.</param>
internal sealed unsafe class HandlerEmitter(
    HostAssembler code, StubCalls calls, FlagEmitter flagEmitter, FlagTracker flags, BlockContext context)
{
    // SAFETY: jumps are positions in the block that is emitted, bound before it ends.
    private readonly List<ColdHandler> _cold = [];

    /// <summary>The jumps of <see cref="ColdHandler"/> that have more than one.</summary>
    private readonly List<nint> _furtherJumps = [];

    /// <summary>An instruction that goes to the interpreter in some cases.</summary>
    internal struct ColdHandler
    {
        public byte* First;

        /// <summary>Further jumps that come here: where they begin in <see cref="_furtherJumps"/>, and how many they are.</summary>
        public int FurtherStart, FurtherCount;
        public int Index;
        public FlagState Source;

        /// <summary>Where to go on behind the instruction; null when it is a jump whose target was not found.</summary>
        public byte* Done;

        /// <summary>For such a jump: its start, or that of the lookup alone, which is done again once the target is in the jump table.</summary>
        public byte* Retry, Lookup;
    }

    /// <summary>How many instructions go to the interpreter in some cases.</summary>
    public int Count => _cold.Count;

    public void Begin()
    {
        _cold.Clear();
        _furtherJumps.Clear();
    }

    /// <summary>Calls an instruction's handler, which leaves the flags saved.</summary>
    public void Emit(int index)
    {
        ref Plan plan = ref context[index];
        bool sharesX87 = X87Forms.MayTouch(in plan.Instruction, in plan.Encoding);
        calls.Handler(sharesX87)->OpIndex = (byte)index;
        flags.NoteSaved();
    }

    /// <summary>Leaves the instruction that was just emitted to its handler when one of the jumps is taken.</summary>
    public void Add(int index, params ReadOnlySpan<nint> jumps)
    {
        _cold.Add(new ColdHandler
        {
            First = (byte*)jumps[0],
            FurtherStart = _furtherJumps.Count,
            FurtherCount = jumps.Length - 1,
            Index = index,
            Source = flags.Now.Source,
            Done = code.Position,
        });
        _furtherJumps.AddRange(jumps[1..]);
        flags.NoteClobbered();
    }

    /// <summary>Leaves a jump or call to its handler when its target is not found.</summary>
    /// <param name="index">The instruction.</param>
    /// <param name="jump">The jump taken then.</param>
    /// <param name="retry">Where all of it is done again once the target is in the jump table.</param>
    public void AddMiss(int index, byte* jump, byte* retry) => _cold.Add(new ColdHandler { First = jump, Index = index, Retry = retry });

    /// <summary>As <see cref="AddMiss"/>, for a return.</summary>
    /// <param name="index">The instruction.</param>
    /// <param name="jump">The jump taken then.</param>
    /// <param name="lookup">Where the lookup is done again, with the target in the address register.</param>
    public void AddReturnMiss(int index, byte* jump, byte* lookup) => _cold.Add(new ColdHandler { First = jump, Index = index, Lookup = lookup });

    /// <summary>Begins what is done out of line: flags are saved behind this.</summary>
    public ColdHandler BeginCold(int number)
    {
        ColdHandler cold = _cold[number];
        code.Bind(cold.First);
        for (int i = 0; i < cold.FurtherCount; i++)
        {
            code.Bind((byte*)_furtherJumps[cold.FurtherStart + i]);
        }

        flagEmitter.SaveRemade(in cold.Source);
        return cold;
    }

    /// <summary>Calls the handler, and goes on behind the instruction.</summary>
    public void EndCold(in ColdHandler cold)
    {
        // The handler leaves the flags saved; where this goes on they are expected in the host's.
        Emit(cold.Index);
        flagEmitter.Load();
        code.Jump(cold.Done);
    }
}
