using System.Diagnostics;
using System.Runtime.ExceptionServices;
using Uml.Core.Cpu.CodeCache;
using Uml.Core.Cpu.Emit;
using Uml.Core.Cpu.Execute;
using Uml.Core.Cpu.Interpreter;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.Translate;

namespace Uml.Core.Cpu;

/// <summary>
/// Translates blocks that run often to host code. Everything starts in the interpreter: the first operation of a decoded block counts how
/// often it runs, then becomes one that enters the translation.
/// </summary>
internal sealed unsafe class JitEngine : IDisposable
{
    /// <summary>Jumps within code memory reach 2 GiB; half of that is more than any guest needs.</summary>
    private const ulong MaximumCode = 1UL << 30;

    private readonly CodeMemory _memory;
    private readonly HostAssembler _code = new();
    private readonly RuntimeStubs _stubs;
    private readonly BlockTranslator _translator;
    private readonly AddressSpaces _spaces;
    private readonly int _threshold;
    private readonly CpuCounters* _counters;
    private byte* _next;

    /// <param name="codeSize">Bytes of memory for translated code.</param>
    /// <param name="threshold">Runs of a block in the interpreter before it is translated.</param>
    /// <param name="spaces">Where jumps are remembered.</param>
    /// <param name="state">The processor, whose model is settled.</param>
    public JitEngine(ulong codeSize, int threshold, AddressSpaces spaces, CpuState* state)
    {
        _spaces = spaces;
        _threshold = threshold;
        _counters = &state->Counters;
        codeSize = Math.Min(codeSize, MaximumCode);
        _memory = new CodeMemory(codeSize);
        Sites = new SiteTable(codeSize / 2);
        CpuFeatures host = CpuModels.OfHost();
        _stubs = new RuntimeStubs(_code, _memory, state->Features & host);
        _translator = new BlockTranslator(_code, _memory, _stubs, Sites, new Planner(state->Features, host));
        _next = _stubs.End;
        _translator.ColdPosition = Cold;
    }

    /// <summary>The first byte for code that seldom runs, which is about twice as much as the other.</summary>
    private byte* Cold => _memory.Writable + (_memory.Size / 3);

    public SiteTable Sites { get; }

    /// <summary>What went wrong in the runtime while translated code was on the stack.</summary>
    public ExceptionDispatchInfo? Failure { get; set; }

    /// <summary>Whether all translations have to go before there can be another.</summary>
    public bool IsFull => _next + BlockTranslator.MaximumSize > Cold
        || _translator.ColdPosition + BlockTranslator.MaximumSize > _memory.Writable + _memory.Size
        || !Sites.HasRoom(BlockTranslator.MaximumSites)
        || _spaces.JumpsRunOut;

    /// <summary>Whether this host and process can run translated code.</summary>
    public static bool IsSupported => OperatingSystem.IsLinux() && System.Runtime.Intrinsics.X86.X86Base.X64.IsSupported;

    /// <summary>Prepares a block that was just decoded.</summary>
    public static void Arm(Block* block)
    {
        if (IsTranslatable(block))
        {
            Block.Ops(block)->Handler = &Count;
        }
    }

    /// <summary>Whether a block has a translation, made now if it runs often enough.</summary>
    public bool IsTranslated(Block* block, Flavor flavor) =>
        block->Translations[(int)flavor].Entry != null || (block->Heat >= _threshold && Translate(block, flavor));

    /// <summary>Points a place's jump to a translation, for as long as that lasts.</summary>
    public void Link(Site* site, Block* target)
    {
        HostAssembler.Bind(site->Jump, _memory.ToWritable(target->Translations[(int)site->Flavor].Entry));
        Sites.SetTarget(site, target);
    }

    /// <summary>Makes sure that nothing enters the block's translations any more.</summary>
    public void Drop(Block* block)
    {
        for (Flavor flavor = Flavor.Integer; flavor < Flavor.Count; flavor++)
        {
            ref TranslatedBlock translation = ref block->Translations[(int)flavor];
            if (translation.Entry != null)
            {
                Unlink(translation.FirstIncoming);
                byte* entry = _memory.ToWritable(translation.Entry);
                *entry = 0xE9;
                HostAssembler.Bind(entry + 1, _memory.ToWritable(translation.Abandon));
                translation = default;
            }
        }
    }

    /// <summary>Forgets all translations.</summary>
    public void Clear()
    {
        _next = _stubs.End;
        _translator.ColdPosition = Cold;
        Sites.Clear();
        _spaces.ClearJumps();
    }

    public void Dispose()
    {
        _memory.Dispose();
        Sites.Dispose();
    }

    /// <summary>64-bit code within one page.</summary>
    private static bool IsTranslatable(Block* block) => (block->Mode & CpuMode.Long64) != 0 && block->SecondPage == Block.NoPage;

    private void Unlink(int incoming)
    {
        while (incoming != 0)
        {
            Site* site = Sites.Sites + (incoming - 1);
            HostAssembler.Bind(site->Jump, site->Unlinked);
            if (site->Epoch != null)
            {
                *(int*)site->Epoch = 0;
            }

            site->LinkedTo = null;
            incoming = site->NextIncoming;
        }
    }

    /// <summary>In place of a block's first handler: counts its runs.</summary>
    private static Op* Count(CpuState* s, Op* op)
    {
        Block* block = s->CurrentBlock;
        JitEngine jit = VirtualCpu.From(s).Jit!;
        if (++block->Heat >= jit._threshold && !jit.IsFull)
        {
            if (jit.IsTranslated(block, Flavor.Integer))
            {
                op->Handler = &Run;
                return Run(s, op);
            }

            op->Handler = block->FirstHandler;
        }

        return block->FirstHandler(s, op);
    }

    /// <summary>In place of a block's first handler: runs its translation, and what follows.</summary>
    private static Op* Run(CpuState* s, Op* op)
    {
        JitEngine jit = VirtualCpu.From(s).Jit!;
        s->PageRip = s->BlockRip & ~0xFFFUL;
        FlagWords.FromLazy(s);
        Slices.Split(s);
        jit._stubs.Enter(s, s->CurrentBlock->Translations[(int)Flavor.Integer].Body);
        Slices.Join(s);
        FlagWords.ToLazy(s);
        Runtime.TakeX87(s);
        if (jit.Failure is { } failure)
        {
            jit.Failure = null;
            failure.Throw();
        }

        return s->NextOp;
    }

    private bool Translate(Block* block, Flavor flavor)
    {
        if (IsFull || !IsTranslatable(block))
        {
            return false;
        }

        long start = Stopwatch.GetTimestamp();
        byte* cold = _translator.ColdPosition;
        _code.Begin(_next);
        Flavor needed = _translator.Translate(block, flavor);
        if (needed > flavor)
        {
            // Another translation does the work, and this one leads there.
            if (!IsTranslated(block, needed))
            {
                return false;
            }

            // That one has counted itself.
            start = Stopwatch.GetTimestamp();
            cold = _translator.ColdPosition;
            _code.Begin(_next);
            _translator.EmitGate(block, flavor, needed);
        }

        _counters->BlocksTranslated++;
        _counters->BytesEmitted += (ulong)(_code.Position - _next + (_translator.ColdPosition - cold));
        _counters->TranslationTicks += (ulong)(Stopwatch.GetTimestamp() - start);
        _next = _code.Position;
        return true;
    }
}
