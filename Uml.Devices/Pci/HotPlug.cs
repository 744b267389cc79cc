using Uml.Core.Machine;

namespace Uml.Devices.Pci;

/// <summary>Unplugs devices from machines that run.</summary>
public static class HotPlug
{
    /// <summary>How long a guest may take by default to let a device go: it may have much to write to a disk.</summary>
    private static readonly TimeSpan DefaultPatience = TimeSpan.FromSeconds(30);

    /// <summary>A timer of .NET takes less than 2^32 ms, 49.7 days.</summary>
    private static readonly TimeSpan LongestPatience = TimeSpan.FromDays(49);

    /// <summary>
    /// Asks the guest to let a PCI function go (ACPI's eject request), and detaches it when the guest has: its driver has written what it had to,
    /// and ended. A machine that was not started yet lets it go at once. The caller disposes the device.
    /// </summary>
    /// <remarks>
    /// Linux does it with CONFIG_HOTPLUG_PCI_ACPI, which Debian's kernels have, whether the device is in use or not: a file system is best
    /// unmounted before. While the machine is paused, or the guest boots, the request waits; a guest that reboots is asked again. After a
    /// request that failed or was cancelled the device is still attached, but the guest may let it go later on; then another request ends at
    /// once.
    /// </remarks>
    /// <param name="machine">The machine.</param>
    /// <param name="device">A device of it.</param>
    /// <param name="patience">
    /// How long the guest may take, in the host's time; null for 30 seconds, <see cref="Timeout.InfiniteTimeSpan"/> for as long as it takes.
    /// </param>
    /// <param name="cancellationToken">Gives the request up.</param>
    /// <exception cref="HotPlugException">
    /// The device is no PCI function, the guest does not answer, or the machine has ended; the message says what to do.
    /// </exception>
    /// <exception cref="InvalidOperationException">The device is not attached to this machine.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The patience is not positive, or longer than 49 days.</exception>
    public static async Task UnplugAsync(
        this IVirtualMachine machine, IMachineDevice device, TimeSpan? patience = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(machine);
        ArgumentNullException.ThrowIfNull(device);
        TimeSpan limit = patience ?? DefaultPatience;
        if (limit != Timeout.InfiniteTimeSpan)
        {
            ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(limit, TimeSpan.Zero, nameof(patience));
            ArgumentOutOfRangeException.ThrowIfGreaterThan(limit, LongestPatience, nameof(patience));
        }

        if (device is not PciFunction function)
        {
            throw new HotPlugException(
                $"'{device.Id}' is no PCI function, and the guest cannot let it go: pause the machine and detach it.", HotPlugError.NotPluggable);
        }

        EjectRequest request = new(machine, function);
        await machine.InvokeAsync(request.Begin, cancellationToken).ConfigureAwait(false);
        try
        {
            await request.WaitAsync(limit, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is TimeoutException or OperationCanceledException or HotPlugException)
        {
            await machine.InvokeAsync(request.Withdraw, CancellationToken.None).ConfigureAwait(false);
            if (!request.IsDone && e is TimeoutException)
            {
                throw request.NoAnswer(limit);
            }

            if (!request.IsDone)
            {
                throw;
            }
        }

        await machine.InvokeAsync(() => machine.Devices.DetachIfAttached(device), CancellationToken.None).ConfigureAwait(false);
    }

    /// <summary>Detaches a device, unless somebody else has.</summary>
    internal static void DetachIfAttached(this IMachineDevices devices, IMachineDevice device)
    {
        if (devices.Attached.Contains(device))
        {
            devices.Detach(device);
        }
    }
}
