using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Uml.Core;
using Uml.Core.Machine;
using Uml.Devices.Pci;
using Uml.Devices.Virtio.Block;
using Uml.Devices.Virtio.Net;
using Uml.Devices.Virtio.Rng;
using Uml.Devices.Virtio.Transport;
using Uml.Net.Frames;
using Uml.Net.Offloads;
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
        builder.Services.AddKeyedSingleton(id, (services, _) => Open<IBlockDevice, DiskImageException>(id, open, services));
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

    /// <summary>Gives a machine a network card (virtio-net) on a transport of the caller's, who disposes it when the machine is disposed.</summary>
    /// <param name="builder">The machine.</param>
    /// <param name="transport">Where its frames go, and come from.</param>
    /// <param name="options">How the guest sees it; null for the defaults.</param>
    /// <exception cref="ArgumentException">The address is none of one station.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The depth is out of its range.</exception>
    public static VirtualMachineBuilder AddNetworkCard(this VirtualMachineBuilder builder, INetTransport transport, NetworkCardOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(transport);
        return AddNetworkCard(builder, _ => transport, isOwned: false, options);
    }

    /// <summary>Gives a machine a network card (virtio-net) on a transport of its own, which is opened when the machine is built and disposed with it.</summary>
    /// <param name="builder">The machine.</param>
    /// <param name="open">Opens the transport, from the machine's services.</param>
    /// <param name="options">How the guest sees it; null for the defaults.</param>
    /// <exception cref="ArgumentException">The address is none of one station.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The depth is out of its range.</exception>
    /// <remarks>A <see cref="NetTransportException"/> of <paramref name="open"/> becomes a <see cref="MachineConfigurationException"/> of <c>Build</c>.</remarks>
    public static VirtualMachineBuilder AddNetworkCard(
        this VirtualMachineBuilder builder, Func<IServiceProvider, INetTransport> open, NetworkCardOptions? options = null) =>
        AddNetworkCard(builder, open, isOwned: true, options);

    private static VirtualMachineBuilder AddNetworkCard(
        VirtualMachineBuilder builder, Func<IServiceProvider, INetTransport> open, bool isOwned, NetworkCardOptions? options)
    {
        const int MaximumDepth = 256;
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(open);
        options ??= new NetworkCardOptions();
        ArgumentOutOfRangeException.ThrowIfLessThan(options.Depth, 1, nameof(options));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.Depth, MaximumDepth, nameof(options));
        byte[]? mac = options.Mac?.GetAddressBytes();
        if (mac is not (null or [_, _, _, _, _, _]) || (mac?[0] & 1) == 1)
        {
            throw new ArgumentException($"{options.Mac} is no address of a card: use six bytes, the first one even.", nameof(options));
        }

        string id = options.Id ?? string.Create(CultureInfo.InvariantCulture, $"net{builder.Services.Count(service => service.ServiceType == typeof(CardMarker))}");
        builder.Services.AddSingleton<CardMarker>();
        if (isOwned)
        {
            builder.Services.AddKeyedSingleton(id, (services, _) => Open<INetTransport, NetTransportException>(id, open, services));
        }

        AddFunction(builder, id, (services, logger) => new VirtioNet(
            new OffloadingTransport(isOwned ? services.GetRequiredKeyedService<INetTransport>(id) : open(services), ownsInner: false),
            ReceiveFilter.ReadMac(mac ?? DeriveMac(services.GetRequiredService<IOptions<MachineOptions>>().Value.Name, id)),
            options.Depth,
            id,
            logger));
        return builder;
    }

    /// <summary>An address that is the same in every run: locally administered, of one station (IEEE 802, 8.2.2).</summary>
    private static byte[] DeriveMac(string machine, string card)
    {
        const int Length = 6;
        const byte Local = 2, Group = 1;
        byte[] mac = SHA256.HashData(Encoding.UTF8.GetBytes($"{machine}\0{card}"))[..Length];
        mac[0] = (byte)((mac[0] | Local) & ~Group);
        return mac;
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

    /// <summary>Opens what a device stands on; an error of it is one of the machine's configuration.</summary>
    private static T Open<T, TError>(string id, Func<IServiceProvider, T> open, IServiceProvider services)
        where TError : Exception
    {
        try
        {
            return open(services);
        }
        catch (TError e)
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

    /// <summary>Counts network cards.</summary>
    private sealed class CardMarker;

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
