using Microsoft.Extensions.Options;
using Uml.Core.Boot;
using Uml.Core.Cpu;

namespace Uml.Core.Machine;

/// <content>A guest's reboot, when <see cref="MachineOptions.OnReboot"/> lets the machine begin anew.</content>
internal sealed partial class VirtualMachine
{
    /// <summary>Resets that are logged: a limit of ours, because it is the guest that decides how many there are.</summary>
    private const int MaximumResetLines = 100;

    private readonly RebootAction _onReboot;
    private readonly IOptions<BootOptions> _boot;
    private ulong _resets;

    /// <summary>The reboot that was asked for and not done yet.</summary>
    private MachineExit? _reboot;

    /// <summary>Does what a device asks for; on any thread.</summary>
    private void EndOrReset(MachineExit exit)
    {
        if (exit.Reason != MachineExitReason.Reboot || _onReboot != RebootAction.Reset || Boot.Kernel is null)
        {
            _loop.RequestExit(exit);
        }
        else if (Interlocked.CompareExchange(ref _reboot, exit, null) is null)
        {
            _loop.Post(Reset);
        }
    }

    private BootOptions Boot => _boot.Value;

    /// <summary>Brings devices and CPUs to their state after power-on and loads the kernel again; on the machine's thread.</summary>
    /// <exception cref="HostServiceException">The kernel cannot be loaded any more.</exception>
    private void Reset()
    {
        MachineExit reboot = Interlocked.Exchange(ref _reboot, null)!;
        if (_resets++ < MaximumResetLines)
        {
            MachineLog.Resetting(_logger, Name, InstructionsRetired, reboot.Message);
        }

        foreach (ICpuRunner cpu in _hardware.Cpus)
        {
            cpu.Reset();
        }

        _devices.Reset();
        if (_loop.RequestedExit is not null)
        {
            return;
        }

        // The registers are open to this thread's loader, and for that time to the owner, who can do no harm: no CPU runs.
        ProcessorRegisters registers = _hardware.BootCpu.Registers;
        registers.SetRunning(false);
        try
        {
            LoadKernelAsync(Boot, Boot.Kernel!, _stopping.Token).GetAwaiter().GetResult();
        }
        catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
        {
            // The machine is being stopped, and the loop sees that next.
        }
        catch (MachineConfigurationException e)
        {
            throw new HostServiceException($"Machine '{Name}' rebooted, and what it boots could not be loaded again: {e.Message}", e);
        }
        finally
        {
            registers.SetRunning(true);
        }
    }
}
