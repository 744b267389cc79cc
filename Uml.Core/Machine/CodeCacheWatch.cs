using Uml.Core.Cpu;

namespace Uml.Core.Machine;

/// <summary>
/// Detects a code cache that is too small for its guest: after each flush every block is decoded and translated again, and with frequent
/// flushes the guest spends its time on that.
/// </summary>
internal sealed class CodeCacheWatch
{
    /// <summary>Two flushes within that many instructions, some ten seconds of a guest, are frequent. The limit is ours.</summary>
    private const ulong FewInstructions = 5_000_000_000;

    private ulong _flushes;
    private ulong _lastFlush;
    private bool _reported;

    /// <summary>Evaluates the statistics so far.</summary>
    /// <returns>True once, when flushes are frequent.</returns>
    public bool IsTooSmall(in CpuStatistics statistics)
    {
        if (statistics.CodeCacheFlushes == _flushes || _reported)
        {
            return false;
        }

        bool follows = _flushes > 0 && statistics.InstructionsRetired - _lastFlush < FewInstructions;
        _reported = follows || statistics.CodeCacheFlushes - _flushes > 1;
        _flushes = statistics.CodeCacheFlushes;
        _lastFlush = statistics.InstructionsRetired;
        return _reported;
    }
}
