using Uml.Core.Cpu.State;

namespace Uml.Core.Machine;

/// <summary>
/// Notices a code cache that is too small for its guest: every block is decoded and translated again after each flush, and a guest whose
/// flushes follow each other spends its time on that.
/// </summary>
internal sealed class CodeCacheWatch
{
    /// <summary>Two flushes within so many instructions follow each other: some ten seconds of a guest. Ours.</summary>
    private const ulong FewInstructions = 5_000_000_000;

    private ulong _flushes;
    private ulong _lastFlush;
    private bool _told;

    /// <summary>Looks at what the processor counted so far.</summary>
    /// <returns>True once, when flushes follow each other.</returns>
    public bool IsTooSmall(in CpuStatistics statistics)
    {
        if (statistics.CodeCacheFlushes == _flushes || _told)
        {
            return false;
        }

        bool follows = _flushes > 0 && statistics.InstructionsRetired - _lastFlush < FewInstructions;
        _told = follows || statistics.CodeCacheFlushes - _flushes > 1;
        _flushes = statistics.CodeCacheFlushes;
        _lastFlush = statistics.InstructionsRetired;
        return _told;
    }
}
