using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu;

/// <summary>What the virtual CPUs of a machine have done since it was built, as of one moment. Numbers only grow.</summary>
/// <remarks>
/// They show where time goes, not what the guest computes: apart from <see cref="InstructionsRetired"/> they depend on the engine and its
/// options. An access that is slow for two reasons counts for both.
/// </remarks>
public readonly record struct CpuStatistics
{
    /// <summary>Guest instructions that completed; of a repeated (REP) instruction each repetition.</summary>
    public ulong InstructionsRetired { get; init; }

    /// <summary>Basic blocks of guest code that were decoded; one that was dropped and is decoded again counts again.</summary>
    public ulong BlocksDecoded { get; init; }

    /// <summary>Decoded blocks that were translated to instructions of the host; 0 with <see cref="CpuEngine.Interpreter"/>.</summary>
    public ulong BlocksTranslated { get; init; }

    /// <summary>Host instructions emitted by translation, in bytes; 0 with <see cref="CpuEngine.Interpreter"/>.</summary>
    public ulong BytesEmitted { get; init; }

    /// <summary>Direct jumps that were chained to their target, so that they need no lookup any more.</summary>
    public ulong ChainHits { get; init; }

    /// <summary>Blocks that were dropped because the guest or a device wrote to the code they were decoded from.</summary>
    public ulong BlocksInvalidated { get; init; }

    /// <summary>Times that every block was dropped because <see cref="CpuOptions.CodeCacheSize"/> was used up.</summary>
    public ulong CodeCacheFlushes { get; init; }

    /// <summary>Time of the host spent translating; zero with <see cref="CpuEngine.Interpreter"/>.</summary>
    public TimeSpan TranslationTime { get; init; }

    /// <summary>
    /// Misses of the software TLB, which walked the guest's page tables: the page was not in it, or not for that kind of access. Device
    /// memory is never in the TLB.
    /// </summary>
    public ulong TlbMisses { get; init; }

    /// <summary>Slow path: reads and writes of device memory and ports, each of at most 8 bytes.</summary>
    public ulong DeviceAccesses { get; init; }

    /// <summary>Slow path: writes to pages that hold decoded code, whether or not they hit it.</summary>
    public ulong CodePageWrites { get; init; }

    /// <summary>Slow path: data accesses that crossed a page boundary; a read-modify-write counts twice.</summary>
    public ulong PageCrossings { get; init; }

    /// <summary>
    /// Slow path: instructions that translated code left to the interpreter's handlers; 0 with <see cref="CpuEngine.Interpreter"/>.
    /// </summary>
    public ulong HandlerCalls { get; init; }

    /// <summary>
    /// Slow path: computed jumps and returns whose target was not in the jump table of translated code; 0 with
    /// <see cref="CpuEngine.Interpreter"/>.
    /// </summary>
    public ulong JumpSearches { get; init; }

    /// <summary>
    /// Instructions that the translator decoded differently from the interpreter, and left to it. Anything but 0 is a defect; the guest
    /// runs on.
    /// </summary>
    public ulong EncodingMismatches { get; init; }

    /// <summary>
    /// Translations that were not put into use because the checker refused them (<see cref="TranslationCheck"/>). Anything but 0 is a defect;
    /// the blocks are interpreted.
    /// </summary>
    public ulong TranslationsRefused { get; init; }

    /// <summary>The numbers so far.</summary>
    /// <param name="counters">The processor's counters.</param>
    /// <param name="instructionsRetired">Retired instructions, which the budget counts.</param>
    internal static CpuStatistics From(in CpuCounters counters, ulong instructionsRetired) => new()
    {
        InstructionsRetired = instructionsRetired,
        BlocksDecoded = counters.BlocksDecoded,
        BlocksTranslated = counters.BlocksTranslated,
        BytesEmitted = counters.BytesEmitted,
        ChainHits = counters.ChainHits,
        BlocksInvalidated = counters.BlocksInvalidated,
        CodeCacheFlushes = counters.CacheFlushes,
        TranslationTime = System.Diagnostics.Stopwatch.GetElapsedTime(0, (long)counters.TranslationTicks),
        TlbMisses = counters.TlbMisses,
        DeviceAccesses = counters.DeviceAccesses,
        CodePageWrites = counters.CodePageWrites,
        PageCrossings = counters.PageCrossings,
        HandlerCalls = counters.HandlerCalls,
        JumpSearches = counters.JumpSearches,
        EncodingMismatches = counters.EncodingMismatches,
        TranslationsRefused = counters.TranslationsRefused,
    };

    /// <summary>What two CPUs did together.</summary>
    internal CpuStatistics Plus(in CpuStatistics other) => new()
    {
        InstructionsRetired = InstructionsRetired + other.InstructionsRetired,
        BlocksDecoded = BlocksDecoded + other.BlocksDecoded,
        BlocksTranslated = BlocksTranslated + other.BlocksTranslated,
        BytesEmitted = BytesEmitted + other.BytesEmitted,
        ChainHits = ChainHits + other.ChainHits,
        BlocksInvalidated = BlocksInvalidated + other.BlocksInvalidated,
        CodeCacheFlushes = CodeCacheFlushes + other.CodeCacheFlushes,
        TranslationTime = TranslationTime + other.TranslationTime,
        TlbMisses = TlbMisses + other.TlbMisses,
        DeviceAccesses = DeviceAccesses + other.DeviceAccesses,
        CodePageWrites = CodePageWrites + other.CodePageWrites,
        PageCrossings = PageCrossings + other.PageCrossings,
        HandlerCalls = HandlerCalls + other.HandlerCalls,
        JumpSearches = JumpSearches + other.JumpSearches,
        EncodingMismatches = EncodingMismatches + other.EncodingMismatches,
        TranslationsRefused = TranslationsRefused + other.TranslationsRefused,
    };
}
