using System.Globalization;
using Microsoft.Extensions.DependencyInjection;
using Uml.Core.Machine;

namespace Uml.Devices.Pci;

/// <summary>One request to the guest to let a function go. All but waiting is for the machine's thread, or while it does not run.</summary>
internal sealed class EjectRequest(IVirtualMachine machine, PciFunction function)
{
    /// <summary>
    /// Linux enables the event before it has a driver for slots, and forgets a request that it reads in between. A choice of ours.
    /// </summary>
    private static readonly TimeSpan Reminder = TimeSpan.FromSeconds(2);

    private Task _letGo = Task.CompletedTask;
    private TimeProvider _time = TimeProvider.System;
    private EjectProgress _progress;

    /// <summary>Whether the function can be detached.</summary>
    public bool IsDone => _letGo.IsCompleted;

    /// <summary>Asks the guest; of one that has not begun there is nothing to be asked.</summary>
    /// <exception cref="InvalidOperationException">The function is not attached to this machine.</exception>
    /// <exception cref="HotPlugException">The machine has ended.</exception>
    public void Begin()
    {
        if (machine.State == MachineState.Stopped)
        {
            throw MachineEnded();
        }

        if (!machine.Devices.Attached.Contains(function))
        {
            throw new InvalidOperationException($"Device '{function.Id}' is not attached to this machine.");
        }

        _time = machine.Services.GetRequiredService<TimeProvider>();
        _letGo = machine.State == MachineState.Created ? Task.CompletedTask : function.Bus.RequestEject(function);
    }

    /// <summary>Waits until the guest has let the function go, and reminds it now and then.</summary>
    /// <exception cref="TimeoutException">It has not.</exception>
    /// <exception cref="OperationCanceledException">The wait was cancelled.</exception>
    /// <exception cref="HotPlugException">The machine has ended.</exception>
    public async Task WaitAsync(TimeSpan patience, CancellationToken cancellationToken)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task end = Task.WhenAny(_letGo, machine.WaitForExitAsync(either.Token));
        long start = _time.GetTimestamp();
        try
        {
            while (!await TryWaitAsync(end, patience, start, cancellationToken).ConfigureAwait(false))
            {
                await machine.InvokeAsync(Remind, cancellationToken).ConfigureAwait(false);
            }
        }
        finally
        {
            await either.CancelAsync().ConfigureAwait(false);
        }

        cancellationToken.ThrowIfCancellationRequested();
        if (!IsDone)
        {
            throw MachineEnded();
        }
    }

    /// <summary>Gives it up, unless it is done by now.</summary>
    public void Withdraw()
    {
        if (!IsDone)
        {
            _progress = function.Bus.WithdrawEject(function);
        }
    }

    /// <summary>The error when the guest has not answered; the request was withdrawn.</summary>
    public HotPlugException NoAnswer(TimeSpan patience)
    {
        string reason = _progress switch
        {
            _ when machine.State == MachineState.Paused => "the machine is paused; resume it",
            EjectProgress.NotListening => "its kernel takes no hot-plug events: it still boots, or runs without ACPI (acpi=off). Try later, or detach the device while "
                + "the machine is paused",
            EjectProgress.Signalled => "it does not take the event: it is too busy, or hangs",
            _ => "it was notified and still has the device: its kernel has no hot-plug driver for PCI (CONFIG_HOTPLUG_PCI_ACPI, without acpiphp.disable), or has much to "
                + "write to it. Give it more time, or detach the device while the machine is paused",
        };
        return new HotPlugException(
            string.Create(CultureInfo.InvariantCulture, $"The guest has not let '{function.Id}' go within {patience.TotalSeconds:0.###} s: {reason}."), HotPlugError.NoAnswer);
    }

    /// <returns>False when it is time for a reminder.</returns>
    /// <exception cref="TimeoutException">The patience is at its end.</exception>
    private async Task<bool> TryWaitAsync(Task end, TimeSpan patience, long start, CancellationToken cancellationToken)
    {
        TimeSpan left = patience == Timeout.InfiniteTimeSpan ? TimeSpan.MaxValue : patience - _time.GetElapsedTime(start);
        try
        {
            TimeSpan wait = left < Reminder ? left : Reminder;
            await end.WaitAsync(wait > TimeSpan.Zero ? wait : TimeSpan.Zero, _time, cancellationToken).ConfigureAwait(false);
            return true;
        }
        catch (TimeoutException) when (left > Reminder)
        {
            return false;
        }
    }

    private void Remind()
    {
        if (!IsDone)
        {
            function.Bus.RemindToEject(function);
        }
    }

    private HotPlugException MachineEnded() =>
        new($"'{function.Id}' cannot be unplugged: machine '{machine.Name}' has ended, and its guest can let nothing go.", HotPlugError.MachineEnded);
}
