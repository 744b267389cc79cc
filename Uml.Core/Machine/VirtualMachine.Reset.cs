using Microsoft.Extensions.Options;
using Uml.Core.Boot;
using Uml.Core.Cpu;

namespace Uml.Core.Machine;

/// <content>A guest's reboot, when <see cref="MachineOptions.OnReboot"/> lets the machine begin anew.</content>
internal sealed partial class VirtualMachine
{
    /// <summary>The most resets that are logged, a limit of ours: the guest decides how many there are.</summary>
    private const int MaximumResetLines = 100;

    private readonly RebootAction _onReboot;
    private readonly IOptions<BootOptions> _boot;
    private ulong _resets;

    /// <summary>The requested reboot that is not done yet.</summary>
    private MachineExit? _reboot;

    /// <summary>Serves a device's request for an exit; called on any thread.</summary>
    private void EndOrReset(MachineExit exit)
    {
        if (exit.Reason != MachineExitReason.Reboot || _onReboot != RebootAction.Reset || Boot.Kernel is null)
        {
            _loop.RequestExit(exit);
        }
        else if (Interlocked.CompareExchange(ref _reboot, exit, null) is null)
        {
            _loop.Post(new PostedAction(Reset));
        }
    }

    private BootOptions Boot => _boot.Value;

    /// <summary>Resets devices and CPUs and loads the kernel again; called on the machine's thread.</summary>
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

        // Opens the registers for the loader on this thread. The owner can access them meanwhile too, which is harmless because no CPU
        // runs.
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
