using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Uml.Core;
using Uml.Core.Machine;
using Uml.Devices.Pci;
using Uml.Devices.Virtio.Block;
using Uml.Devices.Virtio.Rng;
using Uml.Devices.Virtio.Transport;
using Uml.Storage.Blocks;

namespace Uml.Devices.Virtio;

/// <summary>Gives machines virtio devices. The machine has the standard board, which is added before.</summary>
public static class VirtioBuilderExtensions
{
    /// <summary>Gives a machine a disk (virtio-blk) of the caller's, who disposes it when the machine is disposed.</summary>
    /// <param name="builder">The machine.</param>
    /// <param name="device">Where its data is.</param>
    /// <param name="options">How the guest sees it; null for the defaults.</param>
    /// <exception cref="ArgumentException">The serial number is too long, or not ASCII.</exception>
    public static VirtualMachineBuilder AddBlockDevice(this VirtualMachineBuilder builder, IBlockDevice device, BlockDeviceOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(device);
        return AddBlockDevice(builder, _ => new BorrowedBlockDevice(device), options);
    }

    /// <summary>Gives a machine a disk (virtio-blk) of its own, which is opened when the machine is built and disposed with it.</summary>
    /// <param name="builder">The machine.</param>
    /// <param name="open">Opens where its data is, from the machine's services.</param>
    /// <param name="options">How the guest sees it; null for the defaults.</param>
    /// <exception cref="ArgumentException">The serial number is too long, or not ASCII.</exception>
    /// <remarks>A <see cref="DiskImageException"/> of <paramref name="open"/> becomes a <see cref="MachineConfigurationException"/> of <c>Build</c>.</remarks>
    public static VirtualMachineBuilder AddBlockDevice(
        this VirtualMachineBuilder builder, Func<IServiceProvider, IBlockDevice> open, BlockDeviceOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(open);
        string id = options?.Id ?? $"disk{builder.Services.Count(service => service.ServiceType == typeof(DiskMarker))}";
        string serial = GetSerial(id, options);
        builder.Services.AddSingleton<DiskMarker>();
        builder.Services.AddKeyedSingleton(id, (services, _) => Open(id, open, services));
        AddFunction(builder, id, (services, logger) => new VirtioBlock(services.GetRequiredKeyedService<IBlockDevice>(id), id, serial, logger));
        return builder;
    }

    /// <summary>Gives a machine the host's entropy (virtio-rng); in virtual time numbers that are the same in every run.</summary>
    /// <param name="builder">The machine.</param>
    public static VirtualMachineBuilder AddEntropy(this VirtualMachineBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        AddFunction(builder, "rng", (_, _) => new VirtioRng());
        return builder;
    }

    /// <summary>What a disk calls itself.</summary>
    /// <exception cref="ArgumentException">The serial number is too long, or not ASCII.</exception>
    internal static string GetSerial(string id, BlockDeviceOptions? options)
    {
        string serial = options?.Serial ?? id;
        return serial.Length <= BlockDeviceOptions.MaximumSerialLength && serial.All(c => c is >= ' ' and <= '~')
            ? serial
            : throw new ArgumentException(
                $"The serial number '{serial}' of a disk has to be at most {BlockDeviceOptions.MaximumSerialLength} printable ASCII characters.", nameof(options));
    }

    internal static ILogger CreateLogger(IServiceProvider services) =>
        (services.GetService<ILoggerFactory>() ?? NullLoggerFactory.Instance).CreateLogger("Uml.Devices.Virtio");

    private static IBlockDevice Open(string id, Func<IServiceProvider, IBlockDevice> open, IServiceProvider services)
    {
        try
        {
            return open(services);
        }
        catch (DiskImageException e)
        {
            throw new MachineConfigurationException($"{id}: {e.Message}", e);
        }
    }

    private static void AddFunction(VirtualMachineBuilder builder, string id, Func<IServiceProvider, ILogger, Device.VirtioDevice> make) =>
        builder.Services.AddSingleton<IMachineDevice>(services =>
        {
            ILogger logger = CreateLogger(services);
            return new VirtioPciFunction(services.GetRequiredService<IPciBus>(), id, make(services, logger), logger);
        });

    /// <summary>Counts disks.</summary>
    private sealed class DiskMarker;

    /// <summary>A device that the machine does not dispose.</summary>
    private sealed class BorrowedBlockDevice(IBlockDevice device) : IBlockDevice
    {
        public long Length => device.Length;

        public bool IsReadOnly => device.IsReadOnly;

        public BlockLimits Limits => device.Limits;

        public ValueTask ReadAsync(long offset, BlockBuffers buffers, CancellationToken cancellationToken = default) =>
            device.ReadAsync(offset, buffers, cancellationToken);

        public ValueTask WriteAsync(long offset, BlockBuffers buffers, CancellationToken cancellationToken = default) =>
            device.WriteAsync(offset, buffers, cancellationToken);

        public T? GetCapability<T>()
            where T : class => device.GetCapability<T>();

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
