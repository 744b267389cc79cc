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
internal sealed unsafe partial class CpuLog(ILogger logger)
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

    [LoggerMessage(101, LogLevel.Warning, "Instruction {Code} at RIP 0x{Rip:x} is not implemented: the guest gets #UD")]
    private static partial void LogNotImplemented(ILogger logger, Iced.Intel.Code code, ulong rip);

    [LoggerMessage(111, LogLevel.Debug, "RDMSR 0x{Index:X}: no such register: the guest gets #GP")]
    private static partial void LogUnknownRead(ILogger logger, uint index);

    [LoggerMessage(112, LogLevel.Debug, "WRMSR 0x{Index:X}: no such register or value: the guest gets #GP")]
    private static partial void LogUnknownWrite(ILogger logger, uint index);

    [LoggerMessage(113, LogLevel.Warning, "Hardware task switch to 0x{Target:X}: not implemented, the guest gets #GP")]
    private static partial void LogTaskSwitch(ILogger logger, ulong target);
}
