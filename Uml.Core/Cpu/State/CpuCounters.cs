using System.Runtime.InteropServices;

namespace Uml.Core.Cpu.State;

/// <summary>
/// What a virtual CPU counts about its own work. Plain memory of the machine's thread: slow paths, and what is emitted, add to it without
/// synchronisation; <see cref="CpuStatistics"/> is what others see, and says what each number means.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal struct CpuCounters
{
    public ulong BlocksDecoded;
    public ulong BlocksTranslated;
    public ulong BytesEmitted;

    /// <summary>Direct jumps that were linked to their target.</summary>
    public ulong ChainHits;
    public ulong BlocksInvalidated;

    /// <summary>Times that all blocks were dropped because their memory was full.</summary>
    public ulong CacheFlushes;

    /// <summary>Time spent translating, in ticks of <see cref="System.Diagnostics.Stopwatch"/>.</summary>
    public ulong TranslationTicks;

    /// <summary>Page walks.</summary>
    public ulong TlbMisses;
    public ulong DeviceAccesses;
    public ulong CodePageWrites;
    public ulong PageCrossings;

    /// <summary>Calls from translated code to handlers of the interpreter.</summary>
    public ulong HandlerCalls;

    /// <summary>Computed jumps from translated code that were not in the jump table.</summary>
    public ulong JumpSearches;

    /// <summary>Instructions that translation decoded otherwise than the interpreter.</summary>
    public ulong EncodingMismatches;

    /// <summary>Translations that the checker has refused.</summary>
    public ulong TranslationsRefused;

    /// <summary>The numbers so far.</summary>
    /// <param name="instructionsRetired">What is counted by the budget instead.</param>
    public readonly CpuStatistics ToStatistics(ulong instructionsRetired) => new()
    {
        InstructionsRetired = instructionsRetired,
        BlocksDecoded = BlocksDecoded,
        BlocksTranslated = BlocksTranslated,
        BytesEmitted = BytesEmitted,
        ChainHits = ChainHits,
        BlocksInvalidated = BlocksInvalidated,
        CodeCacheFlushes = CacheFlushes,
        TranslationTime = System.Diagnostics.Stopwatch.GetElapsedTime(0, (long)TranslationTicks),
        TlbMisses = TlbMisses,
        DeviceAccesses = DeviceAccesses,
        CodePageWrites = CodePageWrites,
        PageCrossings = PageCrossings,
        HandlerCalls = HandlerCalls,
        JumpSearches = JumpSearches,
        EncodingMismatches = EncodingMismatches,
        TranslationsRefused = TranslationsRefused,
    };
}
