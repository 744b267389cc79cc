using Microsoft.Extensions.Logging;
using Uml.Core.Cpu.Execute;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu;

/// <summary>What is around the running of translated code: the application's floating-point settings, refusals and faults of that code.</summary>
internal sealed unsafe partial class VirtualCpu
{
    /// <summary>Logs a fault in translated code.</summary>
    /// <returns>What is to be thrown when that code is left.</returns>
    public EmittedCodeFaultException ReportFault()
    {
        EmittedCodeFaultException fault = new(Jit!.DescribeFault(_state));
        LogFault(_logger, Index, fault.Message);
        return fault;
    }

    /// <summary>Logs that the checker has refused a translation; a bounded number of them.</summary>
    public void ReportRefusal(string defect)
    {
        // A limit of ours: one line tells of the defect, and the guest decides how often it occurs.
        const int maximumReports = 16;
        if (_state->Engine->Counters.TranslationsRefused <= maximumReports)
        {
            LogRefusal(_logger, Index, defect);
        }
    }

    /// <exception cref="EmittedCodeFaultException">Translated code raised an exception of the host's processor, now or before.</exception>
    private RunResult RunTranslated(CpuState* s, JitEngine jit)
    {
        if (jit.HasFaulted)
        {
            throw new EmittedCodeFaultException("This processor cannot go on after a fault in translated code: " + jit.DescribeFault(s));
        }

        FloatingPointSettings settings;
        jit.FloatingPoint.PutAside(&settings);
        try
        {
            return RunCore(s);
        }
        finally
        {
            jit.FloatingPoint.GiveBack(&settings);
        }
    }

    [LoggerMessage(102, LogLevel.Critical, "Processor {Index}: {Report}")]
    private static partial void LogFault(ILogger logger, int index, string report);

    [LoggerMessage(103, LogLevel.Error, "Processor {Index}: a translation was refused. {Defect}")]
    private static partial void LogRefusal(ILogger logger, int index, string defect);

    [LoggerMessage(104, LogLevel.Warning, "Processor {Index}: faults in translated code are not caught, and would end the process")]
    private static partial void LogFaultsNotCaught(ILogger logger, int index);
}
