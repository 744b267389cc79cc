using Microsoft.Extensions.Logging;

namespace Uml.Core.Cpu.State;

/// <summary>Things a guest did that are worth one line in the log, once each.</summary>
internal enum SystemReport
{
    /// <summary>RDMSR of an index nobody knows; the detail is the index.</summary>
    UnknownMsrRead,

    /// <summary>WRMSR of an index nobody knows, or of a value it refuses; the detail is the index.</summary>
    UnknownMsrWrite,

    /// <summary>A hardware task switch, which is not implemented; the detail is the selector or, for an IDT entry, the vector.</summary>
    TaskSwitch,

    /// <summary>An instruction that the engine does not know; the detail is Iced's code of it.</summary>
    NotImplemented,
}

/// <summary>Logs what a guest did that deserves a line, each thing once and a bounded number of them.</summary>
// SAFETY: Of takes the state of a live processor, whose handle Owned keeps.
internal sealed unsafe partial class CpuLog(ILogger logger, int index)
{
    /// <summary>Our limit: a guest that probes every MSR must not fill the host's memory or its log.</summary>
    private const int MaximumReports = 256;

    private readonly HashSet<(SystemReport Report, ulong Detail)> _seen = [];

    public static CpuLog Of(CpuState* s) => Owned.Get<CpuLog>(s->Engine->Log);

    /// <summary>Logs the report unless it was logged before or the limit is reached.</summary>
    /// <param name="report">What it is.</param>
    /// <param name="detail">What tells it from others of its kind.</param>
    /// <param name="rip">Where it happened, for what has a place.</param>
    public void ReportOnce(SystemReport report, ulong detail, ulong rip = 0)
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
            case SystemReport.NotImplemented:
                LogNotImplemented(logger, (Iced.Intel.Code)detail, rip);
                break;
            default:
                LogTaskSwitch(logger, detail);
                break;
        }
    }

    /// <summary>Logs a fault in translated code.</summary>
    public void ReportFault(string report) => LogFault(logger, index, report);

    /// <summary>Logs that the checker has refused a translation; a bounded number of them.</summary>
    /// <param name="defect">What is wrong with it.</param>
    /// <param name="count">How many there were, this one included.</param>
    public void ReportRefusal(string defect, ulong count)
    {
        // A limit of ours: one line tells of the defect, and the guest decides how often it occurs.
        const int maximumReports = 16;
        if (count <= maximumReports)
        {
            LogRefusal(logger, index, defect);
        }
    }

    /// <summary>Logs that a fault in translated code would end the process.</summary>
    public void ReportFaultsNotCaught() => LogFaultsNotCaught(logger, index);

    [LoggerMessage(102, LogLevel.Critical, "Processor {Index}: {Report}")]
    private static partial void LogFault(ILogger logger, int index, string report);

    [LoggerMessage(103, LogLevel.Error, "Processor {Index}: a translation was refused. {Defect}")]
    private static partial void LogRefusal(ILogger logger, int index, string defect);

    [LoggerMessage(104, LogLevel.Warning, "Processor {Index}: faults in translated code are not caught, and would end the process")]
    private static partial void LogFaultsNotCaught(ILogger logger, int index);

    [LoggerMessage(101, LogLevel.Warning, "Instruction {Code} at RIP 0x{Rip:x} is not implemented: the guest gets #UD")]
    private static partial void LogNotImplemented(ILogger logger, Iced.Intel.Code code, ulong rip);

    [LoggerMessage(111, LogLevel.Debug, "RDMSR 0x{Index:X}: no such register: the guest gets #GP")]
    private static partial void LogUnknownRead(ILogger logger, uint index);

    [LoggerMessage(112, LogLevel.Debug, "WRMSR 0x{Index:X}: no such register or value: the guest gets #GP")]
    private static partial void LogUnknownWrite(ILogger logger, uint index);

    [LoggerMessage(113, LogLevel.Warning, "Hardware task switch to 0x{Target:X}: not implemented, the guest gets #GP")]
    private static partial void LogTaskSwitch(ILogger logger, ulong target);
}
