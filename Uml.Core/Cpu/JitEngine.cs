using System.Diagnostics;
using System.Runtime.ExceptionServices;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.CodeCache;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Emit;
using Uml.Core.Cpu.Execute;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;
using Uml.Core.Cpu.Translate;
using Uml.Core.Cpu.Verify;

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
    private readonly FaultRegistration _faults;
    private readonly TranslationMap _map = new();
    private readonly HostAssembler _code = new();
    private readonly RuntimeStubs _stubs;
    private readonly BlockTranslator _translator;
    private readonly Specializations _specializations;
    private readonly AddressSpaces _spaces;
    private readonly CodeChecker? _checker;
    private readonly TranslationCheck _check;
    private readonly CpuState* _state;
    private readonly int _threshold;
    private readonly CpuCounters* _counters;
    private byte* _next;

    /// <param name="options">How much memory there is for translated code, when a block is translated, and whether it is checked.</param>
    /// <param name="spaces">Where jumps are remembered.</param>
    /// <param name="state">The processor, whose model is settled.</param>
    /// <param name="readsTime">RDTSC may go by <see cref="EngineState.TimeStamps"/>.</param>
    public JitEngine(CpuOptions options, AddressSpaces spaces, CpuState* state, bool readsTime)
    {
        _spaces = spaces;
        _state = state;
        _threshold = options.TranslationThreshold;
        _counters = &state->Engine->Counters;
        ulong codeSize = Math.Min(options.CodeCacheSize, MaximumCode);
        _memory = new CodeMemory(codeSize);
        Sites = new SiteTable(codeSize / 2);
        _specializations = new Specializations(codeSize / 8);
        CpuFeatures host = CpuModels.OfHost();
        _stubs = new RuntimeStubs(_code, _memory, state, state->Features & host);
        _faults = new FaultRegistration(_memory, state, _stubs.Recovery);
        _translator = new BlockTranslator(_code, _memory, _stubs, Sites, new Planner(state->Features, host, readsTime, _counters), UsesToSpecialize);
        _check = options.TranslationCheck;
        _checker = _check == TranslationCheck.None ? null
            : new CodeChecker(_stubs, Sites, _memory, hasWideVectors: (state->Features & host & CpuFeatures.Avx) != 0);
        _next = _stubs.End;
        _translator.ColdPosition = Cold;
    }

    /// <summary>The first byte for code that seldom runs, which is about twice as much as the other.</summary>
    private byte* Cold => _memory.Writable + (_memory.Size / 3);

    public SiteTable Sites { get; }

    /// <summary>All emitted code.</summary>
    public CodeMemory Code => _memory;

    /// <summary>Puts the application's floating-point settings aside while the guest runs.</summary>
    public FloatingPointSwitch FloatingPoint => _stubs.FloatingPoint;

    /// <summary>Whether a fault in emitted code ends this machine only.</summary>
    public bool CatchesFaults => _faults.IsActive;

    /// <summary>Whether there was a fault: nothing of this engine can be relied on any more.</summary>
    public bool HasFaulted => _faults is { IsActive: true, Fault.Signal: not 0 };

    /// <summary>Times that a jump saves flags for the translation for all before there is to be one for their source.</summary>
    public int UsesToSpecialize => 64 * _threshold;

    /// <summary>The fault, if <see cref="HasFaulted"/>.</summary>
    public ref readonly FaultSlot Fault => ref _faults.Fault;

    /// <summary>Sees each translation that is checked, before that. Null but in a fuzzer of the checker.</summary>
    public TranslationHook? BeforeCheck { get; set; }

    /// <summary>What went wrong in the runtime while translated code was on the stack.</summary>
    public ExceptionDispatchInfo? Failure { get; set; }

    /// <summary>Whether all translations have to go before there can be another.</summary>
    public bool IsFull => _next + BlockTranslator.MaximumSize > Cold
        || _translator.ColdPosition + BlockTranslator.MaximumSize > _memory.Writable + _memory.Size
        || !Sites.HasRoom(BlockTranslator.MaximumSites)
        || !_specializations.HasRoom
        || _spaces.JumpsRunOut;

    /// <summary>Whether this host and process can run translated code.</summary>
    public static bool IsSupported => OperatingSystem.IsLinux() && System.Runtime.Intrinsics.X86.X86Base.X64.IsSupported;

    /// <summary>The host's time-stamp counter.</summary>
    public ulong ReadHostTimeStamp() => _stubs.ReadTimeStamp();

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
        if (site->HasDirect && (site - 1)->LinkedTo != target)
        {
            // It was for what stood there before.
            Sites.RemoveTarget(site - 1);
            Unlink(site - 1);
        }

        HostAssembler.Bind(site->Jump, _memory.ToWritable(target->Translations[(int)site->Flavor].Entry));
        Sites.SetTarget(site, target);
    }

    /// <summary>
    /// Points the jump of a place that saves flags only for its target to a translation of the target that can do without, made now if
    /// there is none.
    /// </summary>
    /// <returns>Whether that could be done.</returns>
    public bool Specialize(Site* site, Block* target)
    {
        ref TranslatedBlock translation = ref target->Translations[(int)site->Flavor];
        FlagState source = Sites.Source(site->Source);
        Specialization* special = _specializations.Find(in translation, in source, out int count);
        if (special == null && count < Specialization.Maximum && !IsFull)
        {
            special = _specializations.Add(ref translation, in source);
            Emission emission = BeginEmission();
            if (_translator.TryTranslate(target, site->Flavor, in source, out _, out TranslatedBlock made)
                && TryEndEmission(in emission, target, site->Flavor, in made))
            {
                special->Entry = made.Entry;
                special->Abandon = made.Abandon;
            }
        }

        if (special == null || special->Entry == null)
        {
            return false;
        }

        HostAssembler.Bind(site->Jump, _memory.ToWritable(special->Entry));
        Sites.SetTarget(site, target);
        return true;
    }

    /// <summary>Makes sure that nothing enters the block's translations any more.</summary>
    public void Drop(Block* block)
    {
        for (Flavor flavor = Flavor.Integer; flavor < Flavor.Count; flavor++)
        {
            ref TranslatedBlock translation = ref block->Translations[(int)flavor];
            if (translation.Entry != null)
            {
                UnlinkAll(translation.FirstIncoming);
                Redirect(translation.Entry, translation.Abandon);
                for (Specialization* special = _specializations.At(translation.FirstSpecialization); special != null; special = _specializations.At(special->Next))
                {
                    if (special->Entry != null)
                    {
                        Redirect(special->Entry, special->Abandon);
                    }
                }

                translation = default;
            }
        }
    }

    /// <summary>Makes code that was to be entered jump somewhere else.</summary>
    private void Redirect(byte* entry, byte* target)
    {
        byte* jump = _memory.ToWritable(entry);
        *jump = 0xE9;
        HostAssembler.Bind(jump + 1, _memory.ToWritable(target));
    }

    /// <summary>All that can be told of the fault.</summary>
    public string DescribeFault(CpuState* state) =>
        new FaultReport(state, _memory, Sites, _map).Write(in _faults.Fault, Offset(Cold), Offset(_stubs.End));

    /// <summary>Forgets all translations.</summary>
    public void Clear()
    {
        _map.Clear();
        _next = _stubs.End;
        _translator.ColdPosition = Cold;
        Sites.Clear();
        _specializations.Clear();
        _spaces.ClearJumps();
    }

    public void Dispose()
    {
        _faults.Dispose();
        _memory.Dispose();
        Sites.Dispose();
        _specializations.Dispose();
    }

    /// <summary>64-bit code, or 32-bit code with flat segments, in memory.</summary>
    private static bool IsTranslatable(Block* block) => IsTranslatable(block->Mode) && (block->SecondPage == Block.NoPage || block->SecondHostPage != null);

    private static bool IsTranslatable(CpuMode mode)
    {
        const CpuMode flat32 = CpuMode.Protected | CpuMode.Code32 | CpuMode.Stack32;
        return (mode & CpuMode.Long64) != 0 || (mode & (flat32 | CpuMode.Segmented | CpuMode.Virtual8086)) == flat32;
    }

    private void UnlinkAll(int incoming)
    {
        while (incoming != 0)
        {
            Site* site = Sites.Sites + (incoming - 1);
            Unlink(site);
            site->LinkedTo = null;
            incoming = site->NextIncoming;
        }
    }

    private void Unlink(Site* site)
    {
        HostAssembler.Bind(site->Jump, site->Unlinked);
        site->Uses = UsesToSpecialize;
        if (site->Epoch != null)
        {
            *(int*)site->Epoch = 0;
        }
    }

    /// <summary>In place of a block's first handler: counts its runs.</summary>
    private static Op* Count(CpuState* s, Op* op)
    {
        Block* block = BlockState.Of(s)->CurrentBlock;
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
        s->Engine->PageRip = s->Engine->BlockRip & ~0xFFFUL;
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

    private bool Translate(Block* block, Flavor flavor)
    {
        if (IsFull || !IsTranslatable(block))
        {
            return false;
        }

        Emission emission = BeginEmission();
        if (!_translator.TryTranslate(block, flavor, default, out Flavor needed, out TranslatedBlock translation))
        {
            // Another translation does the work, and this one leads there.
            if (!IsTranslated(block, needed))
            {
                return false;
            }

            // That one has counted itself.
            emission = BeginEmission();
            translation = _translator.EmitGate(block, flavor, needed);
        }

        if (!TryEndEmission(in emission, block, flavor, in translation, needed))
        {
            // No further runs are counted.
            block->Heat = int.MinValue;
            return false;
        }

        block->Translations[(int)flavor] = translation;
        return true;
    }

    private uint Offset(byte* writable) => (uint)(writable - _memory.Writable);

    private Emission BeginEmission()
    {
        _code.Begin(_next);
        return new Emission { Start = Stopwatch.GetTimestamp(), Cold = _translator.ColdPosition, FirstSite = Sites.Count };
    }

    /// <summary>Keeps what was emitted, if it may run.</summary>
    /// <param name="emission">Where it began.</param>
    /// <param name="block">What it was made from.</param>
    /// <param name="flavor">Its flavor.</param>
    /// <param name="made">What it is.</param>
    /// <param name="exit">The flavor whose translation of the block it may go on in.</param>
    /// <exception cref="TranslationRefusedException">It may not run, and <see cref="TranslationCheck.Stop"/> is set.</exception>
    private bool TryEndEmission(in Emission emission, Block* block, Flavor flavor, in TranslatedBlock made, Flavor exit = Flavor.Integer)
    {
        if (_checker is not null && Check(in emission, block, flavor, in made, exit) is { } defect)
        {
            _translator.ColdPosition = emission.Cold;
            Sites.Truncate(emission.FirstSite);
            _counters->TranslationsRefused++;
            VirtualCpu.From(_state).ReportRefusal(defect);
            return _check == TranslationCheck.Interpret ? false : throw new TranslationRefusedException(defect);
        }

        _map.Add(Offset(_next), Offset(emission.Cold), block, flavor);
        _counters->BlocksTranslated++;
        _counters->BytesEmitted += (ulong)(_code.Position - _next + (_translator.ColdPosition - emission.Cold));
        _counters->TranslationTicks += (ulong)(Stopwatch.GetTimestamp() - emission.Start);
        _next = _code.Position;
        return true;
    }

    private string? Check(in Emission emission, Block* block, Flavor flavor, in TranslatedBlock made, Flavor exit)
    {
        byte* exitBody = block->Translations[(int)exit].Body;
        var code = new EmittedCode
        {
            Hot = _memory.ToWritable(made.Entry),
            HotEnd = _code.Position,
            Cold = emission.Cold,
            ColdEnd = _translator.ColdPosition,
            Body = _memory.ToWritable(made.Body),
            Abandon = _memory.ToWritable(made.Abandon),
            Exit = exit > flavor ? _memory.ToWritable(exitBody) : null,
            ExitFlavor = exit,
            FirstSite = emission.FirstSite,
        };
        BeforeCheck?.Invoke(_checker!, block, flavor, in code);
        return _checker!.Check(block, flavor, in code);
    }

    /// <summary>When a translation was begun, where code that seldom runs went then, and how many sites there were.</summary>
    private struct Emission
    {
        public long Start;
        public byte* Cold;
        public int FirstSite;
    }
}
