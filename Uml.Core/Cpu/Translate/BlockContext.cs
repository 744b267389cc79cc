using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.State;
using Uml.Core.Memory;

namespace Uml.Core.Cpu.Translate;

/// <summary>The block that is translated, and what is known of it: one object, filled again for each.</summary>
internal sealed unsafe class BlockContext
{
    // SAFETY: the block cache keeps the block while it is translated, and nothing decodes or drops blocks meanwhile.
    private readonly Plan[] _plans = new Plan[Blocks.Block.MaxInstructions];
    private FlagState _incoming;

    public Block* Block { get; private set; }

    /// <summary>What is in registers of the host.</summary>
    public Flavor Flavor { get; private set; }

    /// <summary>Where the guest's flags come from when the block is entered; none when they are saved.</summary>
    public ref readonly FlagState Incoming => ref _incoming;

    /// <summary>How many instructions it has.</summary>
    public int Count { get; private set; }

    /// <summary>The block is 64-bit code: addresses and words on the stack are that wide.</summary>
    public bool IsLong { get; private set; }

    /// <summary>From the start of the guest page to the block.</summary>
    public int PageOffset => (int)Page.Offset(Block->Physical);

    /// <summary>Its instructions, in order.</summary>
    public Span<Plan> Plans => _plans.AsSpan(0, Count);

    /// <summary>Whether the next block is known, so that flags can be passed to it by their source.</summary>
    public bool PassesOn => _plans[Count - 1].Form is not (Form.Return or Form.JumpIndirect or Form.CallIndirect);

    public ref Plan this[int index] => ref _plans[index];

    /// <summary>Begins with another block, of which nothing is known yet.</summary>
    public void Begin(Block* block, Flavor flavor, in FlagState incoming)
    {
        Block = block;
        Flavor = flavor;
        _incoming = incoming;
        Count = block->Count;
        IsLong = (block->Mode & CpuMode.Long64) != 0;
    }
}
