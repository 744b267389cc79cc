using Uml.Core.Cpu.Emit;
using Uml.Core.Cpu.Execute;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu;

/// <summary>
/// Runs translated code: saves and restores the application's floating-point settings, and reports earlier faults of that code.
/// </summary>
// SAFETY: the settings are on this stack frame, which the guest's run does not outlive.
internal sealed unsafe partial class VirtualCpu
{
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
}
