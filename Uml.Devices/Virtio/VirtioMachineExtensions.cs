using Microsoft.Extensions.DependencyInjection;
using Uml.Core.Machine;
using Uml.Devices.Pci;
using Uml.Storage.Blocks;

namespace Uml.Devices.Virtio;

/// <summary>Plugs virtio devices into machines that were built, and into those that run.</summary>
public static class VirtioMachineExtensions
{
    /// <summary>
    /// Plugs a disk (virtio-blk) in, whether the guest runs or not. A guest with a hot-plug driver finds it by itself, soon after the call; others
    /// do when they look for new devices. The image stays the caller's, who disposes what this returns before it.
    /// </summary>
    /// <param name="machine">The machine, with the standard board.</param>
    /// <param name="device">Where the disk's data is.</param>
    /// <param name="options">How the guest sees it; null for the defaults, and the first free name of disk0, disk1 and so on.</param>
    /// <param name="cancellationToken">Gives it up, if it has not begun.</param>
    /// <exception cref="ArgumentException">The serial number is too long, or not ASCII.</exception>
    /// <exception cref="HotPlugException">No slot is free, the machine has no PCI bus, or it has ended.</exception>
    /// <exception cref="InvalidOperationException">A device of that name is attached.</exception>
    public static async Task<PluggedBlockDevice> PlugBlockDeviceAsync(
        this IVirtualMachine machine, IBlockDevice device, BlockDeviceOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(machine);
        ArgumentNullException.ThrowIfNull(device);
        PluggedBlockDevice? plugged = null;
        await machine.InvokeAsync(() => plugged = Plug(machine, device, options), cancellationToken).ConfigureAwait(false);
        return plugged!;
    }

    private static PluggedBlockDevice Plug(IVirtualMachine machine, IBlockDevice device, BlockDeviceOptions? options)
    {
        if (machine.State == MachineState.Stopped)
        {
            throw new HotPlugException($"Machine '{machine.Name}' has ended, and gets no more disks.", HotPlugError.MachineEnded);
        }

        IPciBus bus = machine.Services.GetService<IPciBus>() ?? throw new HotPlugException(
            $"Machine '{machine.Name}' has no PCI bus: call AddStandardBoard when it is built.", HotPlugError.NotPluggable);
        string id = options?.Id ?? GetFreeId(machine.Devices);
        return new PluggedBlockDevice(machine, bus, id, VirtioBuilderExtensions.GetSerial(id, options), device);
    }

    private static string GetFreeId(IMachineDevices devices)
    {
        int number = 0;
        while (devices.Find($"disk{number}") is not null)
        {
            number++;
        }

        return $"disk{number}";
    }
}
