using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.CodeCache;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Emit;

namespace Uml.Core.Cpu.Translate;

/// <summary>Turns a decoded block into host code: describe, flags, groups, emit. The caller installs the result (see <see cref="TranslationStore"/>).</summary>
internal sealed unsafe class BlockCompiler
{
    // SAFETY: what is emitted goes to the store's positions; the caller makes sure that the store has room.
    private readonly BlockContext _context = new();
    private readonly CodeMemory _memory;
    private readonly SiteTable _sites;
    private readonly TranslationStore _store;
    private readonly BlockDescriber _describer;
    private readonly BlockEmitter _emitter;

    /// <param name="code">Writes host code.</param>
    /// <param name="memory">Where it goes.</param>
    /// <param name="stubs">What it calls.</param>
    /// <param name="sites">Where its calls are noted.</param>
    /// <param name="store">Where in the memory the next translation goes.</param>
    /// <param name="planner">Decides how each instruction is translated.</param>
    /// <param name="usesToSpecialize">Times that a jump saves flags for the translation for all before there is to be one for their source.</param>
    public BlockCompiler(
        HostAssembler code, CodeMemory memory, RuntimeStubs stubs, SiteTable sites, TranslationStore store, Planner planner, int usesToSpecialize)
    {
        _memory = memory;
        _sites = sites;
        _store = store;
        _describer = new BlockDescriber(planner);
        _emitter = new BlockEmitter(code, memory, stubs, sites, _context, usesToSpecialize);
    }

    /// <summary>Translates a block.</summary>
    /// <param name="block">The block.</param>
    /// <param name="flavor">What is in registers.</param>
    /// <param name="incoming">Where the flags come from; none when they are saved.</param>
    /// <param name="needed">Gets the flavor that the block needs.</param>
    /// <param name="made">Gets the translation, to be installed or taken back.</param>
    /// <returns>False when nothing was done: the block needs a higher flavor, or would have to save flags that come from a source.</returns>
    public bool TryCompile(Block* block, Flavor flavor, in FlagState incoming, out Flavor needed, out EmittedBlock made)
    {
        made = default;
        _context.Begin(block, flavor, in incoming);
        needed = _describer.Describe(_context);
        if (needed > flavor || !FlagAnalysis.Run(_context.Plans, in incoming, _context.PassesOn))
        {
            return false;
        }

        AccessGroups.Find(_context.Plans);
        int firstSite = _sites.Count;
        made = _emitter.Emit(_store.Hot, _store.Cold) with { FirstSite = firstSite };
        return true;
    }

    /// <summary>Translates a block for what has too little in registers: loads the rest and goes on in the translation that needs it.</summary>
    public EmittedBlock CompileGate(Block* block, Flavor flavor, Flavor needed)
    {
        _context.Begin(block, flavor, default);
        byte* target = _memory.ToWritable(block->Translations[(int)needed].Body);
        int firstSite = _sites.Count;
        return _emitter.EmitGate(_store.Hot, _store.Cold, target, needed) with { FirstSite = firstSite };
    }
}
