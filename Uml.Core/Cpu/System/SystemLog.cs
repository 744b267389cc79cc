using Microsoft.Extensions.Logging;

namespace Uml.Core.Cpu;

/// <summary>Logs what a guest did that deserves a line, each thing once and a bounded number of them.</summary>
internal sealed partial class SystemLog(ILogger logger)
{
    /// <summary>Our limit: a guest that probes every MSR must not fill the host's memory or its log.</summary>
    private const int MaximumReports = 256;

    private readonly HashSet<(SystemReport Report, ulong Detail)> _seen = [];

    /// <summary>Logs the report unless it was logged before or the limit is reached.</summary>
    public void ReportOnce(SystemReport report, ulong detail)
    {
        if (_seen.Count >= MaximumReports || !_seen.Add((report, detail)))
        {
            return;
        }

        switch (report)
        {
            case SystemReport.UnknownMsrRead:
                LogUnknownRead(logger, (uint)detail);
                break;
            case SystemReport.UnknownMsrWrite:
                LogUnknownWrite(logger, (uint)detail);
                break;
            default:
                LogTaskSwitch(logger, detail);
                break;
        }
    }

    [LoggerMessage(Level = LogLevel.Debug, Message = "RDMSR 0x{Index:X}: no such register, the guest gets #GP")]
    private static partial void LogUnknownRead(ILogger logger, uint index);

    [LoggerMessage(Level = LogLevel.Debug, Message = "WRMSR 0x{Index:X}: no such register, the guest gets #GP")]
    private static partial void LogUnknownWrite(ILogger logger, uint index);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Hardware task switch to 0x{Target:X}: not implemented, the guest gets #GP")]
    private static partial void LogTaskSwitch(ILogger logger, ulong target);
}
