using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.CodeCache;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Emit;
using Uml.Core.Cpu.Execute;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;
using Uml.Core.Cpu.Translate;
using Uml.Core.Cpu.Verify;
using Uml.Core.Memory;

namespace Uml.Core.Cpu;

/// <summary>
/// Translates blocks that run often to host code. Everything starts in the interpreter: the first operation of a decoded block counts how
/// often it runs, then becomes one that enters the translation.
/// </summary>
internal sealed unsafe class JitEngine : TranslatedCode, IBlockListener, IDisposable
{
    /// <summary>Jumps within code memory reach 2 GiB; half of that is more than any guest needs.</summary>
    private const ulong MaximumCode = 1UL << 30;

    // SAFETY: the state is the processor's, which owns this engine and disposes it first. Blocks are the block cache's, which says when it drops
    // one; translations stay in code memory until all of them go, when none is on the stack.
    private readonly CodeMemory _memory;
    private readonly FaultRegistration _faults;
    private readonly RuntimeStubs _stubs;
    private readonly TranslationStore _store;
    private readonly BlockCompiler _compiler;
    private readonly Specializations _specializations;
    private readonly CpuLog _log;
    private readonly CpuState* _state;
    private readonly int _threshold;

    /// <param name="options">How much memory there is for translated code, when a block is translated, and whether it is checked.</param>
    /// <param name="blocks">What is translated.</param>
    /// <param name="spaces">What jumps are remembered for.</param>
    /// <param name="state">The processor, whose model is settled.</param>
    /// <param name="log">Of the processor.</param>
    /// <param name="readsTime">RDTSC may go by <see cref="EngineState.TimeStamps"/>.</param>
    public JitEngine(CpuOptions options, BlockCache blocks, AddressSpaces spaces, CpuState* state, CpuLog log, bool readsTime)
    {
        Blocks = blocks;
        _log = log;
        _state = state;
        _threshold = options.TranslationThreshold;
        CpuCounters* counters = &state->Engine->Counters;
        ulong codeSize = Math.Min(options.CodeCacheSize, MaximumCode);
        _memory = new CodeMemory(codeSize);
        Sites = new SiteTable(codeSize / 2);
        _specializations = new Specializations(codeSize / 8);
        Links = new CodeLinks(_memory, Sites, _specializations, usesToSpecialize: 64 * _threshold);
        Jumps = new JumpTables(AddressSpaces.Count);
        CpuFeatures host = CpuModels.OfHost();
        CpuFeatures shared = state->Features & host;
        var code = new HostAssembler();
        _stubs = new RuntimeStubs(code, _memory, state, Runtime.Table, shared);
        _faults = new FaultRegistration(_memory, state, _stubs.Recovery);
        _store = new TranslationStore(_memory, Sites, counters, _stubs.End);
        var planner = new Planner(state->Features, host, readsTime, counters);
        _compiler = new BlockCompiler(code, _memory, _stubs, Sites, _store, planner, Links.UsesToSpecialize);
        if (options.TranslationCheck != TranslationCheck.None)
        {
            var checker = new CodeChecker(_stubs, Sites, _memory, hasWideVectors: (shared & CpuFeatures.Avx) != 0);
            Guard = new TranslationGuard(checker, stops: options.TranslationCheck == TranslationCheck.Stop, log, counters);
        }

        spaces.Listener = Jumps;
        blocks.Listener = this;
    }

    public SiteTable Sites { get; }

    /// <inheritdoc/>
    public override BlockCache Blocks { get; }

    /// <inheritdoc/>
    public override CodeLinks Links { get; }

    /// <inheritdoc/>
    public override JumpTables Jumps { get; }

    /// <inheritdoc/>
    public override JumpTargets Targets { get; } = new();

    /// <summary>All emitted code.</summary>
    public CodeMemory Code => _memory;

    /// <summary>Puts the application's floating-point settings aside while the guest runs.</summary>
    public FloatingPointSwitch FloatingPoint => _stubs.FloatingPoint;

    /// <summary>Whether a fault in emitted code ends this machine only.</summary>
    public bool CatchesFaults => _faults.IsActive;

    /// <summary>Whether there was a fault: nothing of this engine can be relied on any more.</summary>
    public bool HasFaulted => _faults is { IsActive: true, Fault.Signal: not 0 };

    /// <summary>The fault, if <see cref="HasFaulted"/>.</summary>
    public ref readonly FaultSlot Fault => ref _faults.Fault;

    /// <summary>What translations pass before they run; null when they are not checked.</summary>
    public TranslationGuard? Guard { get; }

    /// <summary>Whether all translations have to go before there can be another.</summary>
    public bool IsFull => !_store.HasRoom || !_specializations.HasRoom || Jumps.EpochsRunOut;

    /// <summary>Whether this host and process can run translated code.</summary>
    public static bool IsSupported => OperatingSystem.IsLinux() && System.Runtime.Intrinsics.X86.X86Base.X64.IsSupported;

    /// <summary>The host's time-stamp counter.</summary>
    public ulong ReadHostTimeStamp() => _stubs.ReadTimeStamp();

    /// <inheritdoc/>
    public void Decoded(Block* block)
    {
        if (IsTranslatable(block))
        {
            Block.Ops(block)->Handler = &Count;
        }
    }

    /// <inheritdoc/>
    public override bool IsTranslated(Block* block, Flavor flavor) =>
        block->Translations[(int)flavor].Entry != null || (block->Heat >= _threshold && Translate(block, flavor));

    /// <inheritdoc/>
    public override bool Specialize(Site* site, Block* target)
    {
        ref TranslatedBlock translation = ref target->Translations[(int)site->Flavor];
        FlagState source = Sites.Source(site->Source);
        Specialization* special = _specializations.Find(in translation, in source, out int count);
        if (special == null && count < Specialization.Maximum && !IsFull)
        {
            special = _specializations.Add(ref translation, in source);
            _store.Begin();
            if (_compiler.TryCompile(target, site->Flavor, in source, out _, out EmittedBlock made)
                && TryInstall(target, site->Flavor, in made, out TranslatedBlock installed))
            {
                special->Entry = installed.Entry;
                special->Abandon = installed.Abandon;
            }
        }

        if (special == null || special->Entry == null)
        {
            return false;
        }

        Links.Link(site, target, special);
        return true;
    }

    /// <inheritdoc/>
    public void Dropped(Block* block) => Links.Drop(block);

    /// <inheritdoc/>
    public override EmittedCodeFaultException ReportFault()
    {
        EmittedCodeFaultException fault = new(DescribeFault(_state));
        _log.ReportFault(fault.Message);
        return fault;
    }

    /// <summary>Describes the fault: where it was, and the state it was in.</summary>
    public string DescribeFault(CpuState* state) =>
        new FaultReport(state, _memory, Sites, _store.Map).Write(in _faults.Fault, _store.ColdStart, _store.HotStart);

    /// <inheritdoc/>
    public void Flushed()
    {
        _store.Clear();
        _specializations.Clear();
        Jumps.Reset();
        Targets.Clear();
    }

    public void Dispose()
    {
        _faults.Dispose();
        _memory.Dispose();
        Sites.Dispose();
        _specializations.Dispose();
        Jumps.Dispose();
        Targets.Dispose();
    }

    /// <summary>64-bit code, or 32-bit code with flat segments, in memory.</summary>
    private static bool IsTranslatable(Block* block) => IsTranslatable(block->Mode) && (block->SecondPage == Block.NoPage || block->SecondHostPage != null);

    private static bool IsTranslatable(CpuMode mode)
    {
        const CpuMode flat32 = CpuMode.Protected | CpuMode.Code32 | CpuMode.Stack32;
        return (mode & CpuMode.Long64) != 0 || (mode & (flat32 | CpuMode.Segmented | CpuMode.Virtual8086)) == flat32;
    }

    /// <summary>In place of a block's first handler: counts its runs.</summary>
    private static Op* Count(CpuState* s, Op* op)
    {
        Block* block = BlockState.Of(s)->CurrentBlock;
        JitEngine jit = Of(s);
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
        JitEngine jit = Of(s);
        s->Hot.PageRip = Page.Base(s->Engine->BlockRip);
        FlagWords.FromLazy(s);
        Slices.Split(s);
        jit._stubs.Enter(s, BlockState.Of(s)->CurrentBlock->Translations[(int)Flavor.Integer].Body);
        Slices.Join(s);
        FlagWords.ToLazy(s);
        Runtime.TakeX87(s);
        if (jit.Failure is { } failure)
        {
            jit.Failure = null;
            failure.Throw();
        }

        return BlockState.Of(s)->NextOp;
    }

    private static new JitEngine Of(CpuState* s) => Owned.Get<JitEngine>(s->Engine->Translator);

    private bool Translate(Block* block, Flavor flavor)
    {
        if (IsFull || !IsTranslatable(block))
        {
            return false;
        }

        _store.Begin();
        if (!_compiler.TryCompile(block, flavor, default, out Flavor needed, out EmittedBlock made))
        {
            // Another translation does the work, and this one leads there.
            if (!IsTranslated(block, needed))
            {
                return false;
            }

            // That one has counted itself.
            _store.Begin();
            made = _compiler.CompileGate(block, flavor, needed);
        }

        if (TryInstall(block, flavor, in made, out TranslatedBlock installed))
        {
            block->Translations[(int)flavor] = installed;
            return true;
        }

        // No further runs are counted.
        block->Heat = int.MinValue;
        return false;
    }

    /// <summary>Keeps a translation, if it may run.</summary>
    private bool TryInstall(Block* block, Flavor flavor, in EmittedBlock made, out TranslatedBlock installed)
    {
        if (Guard?.Check(block, flavor, in made) is { } defect)
        {
            installed = default;
            _store.TakeBack(in made);
            Guard.Report(defect);
            return false;
        }

        installed = _store.Install(in made, block, flavor);
        return true;
    }
}
