using System.Runtime.InteropServices;

namespace Uml.Core.Cpu.State;

/// <summary>
/// Statistics of a virtual CPU. Slow paths and emitted code on the machine's thread add to them without synchronisation;
/// <c>CpuStatistics</c> is the public form, and describes each number.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal struct CpuCounters
{
    public ulong BlocksDecoded;
    public ulong BlocksTranslated;
    public ulong BytesEmitted;

    /// <summary>Direct jumps that were chained.</summary>
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

    /// <summary>Instructions that the translator decoded differently from the block decoder.</summary>
    public ulong EncodingMismatches;

    /// <summary>Translations that the checker has refused.</summary>
    public ulong TranslationsRefused;
}
