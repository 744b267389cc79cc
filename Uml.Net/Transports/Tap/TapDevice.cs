using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Uml.Net.Frames;
using Uml.Net.Interop;
using Uml.Net.Transports.Descriptors;

namespace Uml.Net.Transports.Tap;

/// <summary>A tap device, opened and set up (Linux, Documentation/networking/tuntap.rst).</summary>
// SAFETY: structures are on the stack for the calls.
internal sealed unsafe class TapDevice
{
    private const string DevicePath = "/dev/net/tun";

    private TapDevice(SafeFileHandle descriptor)
    {
        Descriptor = descriptor;
    }

    public SafeFileHandle Descriptor { get; }

    /// <summary>The name of the interface.</summary>
    public string Name { get; private set; } = "";

    /// <summary>Bytes before each frame; none for a device that was handed over without.</summary>
    public int HeaderSize { get; private set; }

    /// <summary>What may be left to do for frames from the device, of which none is at first.</summary>
    public NetOffloads Offloads { get; private set; }

    /// <summary>Opens the device of an interface, or makes one.</summary>
    public static TapDevice Open(TransportScope scope, string? name, int headerSize, bool usesOffloads)
    {
        int descriptor = Fcntl.Open(DevicePath, Fcntl.ReadWrite | Fcntl.NonBlocking | Fcntl.CloseOnExec);
        if (descriptor < 0)
        {
            throw HostError.OnOpen($"{DevicePath} cannot be opened", Marshal.GetLastPInvokeError(), $"be somebody who may write {DevicePath} (a container needs '--device {DevicePath}')");
        }

        TapDevice device = new(scope.Own(new SafeFileHandle(descriptor, ownsHandle: true)));
        InterfaceRequest request = new() { Flags = Ioctl.Tap | Ioctl.NoInformation | Ioctl.VirtioHeader };
        InterfaceName.Write(name ?? "tap%d", new Span<byte>(request.Name, NetIf.NameSize));
        if (Ioctl.Control(device.Descriptor, Ioctl.SetInterface, &request) != 0)
        {
            throw OnRefused(name ?? "of a tap", Marshal.GetLastPInvokeError());
        }

        device.Name = InterfaceName.Read(new ReadOnlySpan<byte>(request.Name, NetIf.NameSize));
        device.SetUp(headerSize, usesOffloads);
        return device;
    }

    /// <summary>Takes over a device that somebody else has opened.</summary>
    public static TapDevice Adopt(TransportScope scope, int descriptor, int headerSize, bool usesOffloads)
    {
        int copy = Fcntl.Control(descriptor, Fcntl.Duplicate, 0);
        if (copy < 0)
        {
            throw HostError.OnOpen($"The descriptor {descriptor} cannot be used", Marshal.GetLastPInvokeError());
        }

        TapDevice device = new(scope.Own(new SafeFileHandle(copy, ownsHandle: true)));
        HostSocket.StopBlocking(device.Descriptor, $"The descriptor {descriptor}");
        InterfaceRequest request = default;
        if (Ioctl.Control(device.Descriptor, Ioctl.GetInterface, &request) != 0 || (request.Flags & Ioctl.Tap) == 0)
        {
            throw new NetTransportException($"The descriptor {descriptor} is no tap device: use one that was set up with IFF_TAP, or the transport 'fd'.");
        }

        if ((request.Flags & Ioctl.NoInformation) == 0)
        {
            throw new NetTransportException($"The tap device of descriptor {descriptor} tells a protocol before each frame: set it up with IFF_NO_PI.");
        }

        device.Name = InterfaceName.Read(new ReadOnlySpan<byte>(request.Name, NetIf.NameSize));
        if ((request.Flags & Ioctl.VirtioHeader) != 0)
        {
            device.SetUp(headerSize, usesOffloads);
        }

        return device;
    }

    /// <summary>Says what may be left to do for frames from the device.</summary>
    public void Accept(NetOffloads offloads)
    {
        if (HeaderSize != 0 && !TryAccept(offloads))
        {
            throw new NetTransportException($"{Name} no longer takes the offloads {offloads}: {HostError.Describe(Marshal.GetLastPInvokeError())}.");
        }
    }

    /// <summary>What a transport with this device is.</summary>
    public NetTransportFeatures Describe(NetTransportOptions options, string kind) => options.Describe($"{kind} {Name}") with
    {
        MaximumFrameLength = Offloads == NetOffloads.None ? options.Mtu + NetTransportFeatures.FrameOverhead : NetTransportFeatures.LongestFrame,
        SendOffloads = Offloads,
        ReceiveOffloads = Offloads,
    };

    private static NetTransportException OnRefused(string name, int error) => error switch
    {
        Errno.NotPermitted when NetIf.GetIndex(name) == 0 => new NetTransportException(
            $"There is no interface {name}, and making one needs CAP_NET_ADMIN: have root run 'ip tuntap add {name} mode tap vnet_hdr user {Environment.UserName}', or run as root."),
        Errno.NotPermitted => new NetTransportException(
            $"The interface {name} is not ours: have root run 'ip tuntap add {name} mode tap vnet_hdr user {Environment.UserName}', or run with CAP_NET_ADMIN."),
        Errno.Busy => new NetTransportException($"The interface {name} is in use by another program: end that, or name another interface."),
        Errno.Invalid => new NetTransportException(
            $"The interface {name} is no tap device, or was made for several queues: name one of 'ip tuntap add {name} mode tap vnet_hdr'."),
        _ => HostError.OnOpen($"The interface {name} cannot be opened", error),
    };

    private void SetUp(int headerSize, bool usesOffloads)
    {
        if (Ioctl.Control(Descriptor, Ioctl.SetHeaderSize, &headerSize) != 0)
        {
            throw HostError.OnOpen($"The interface {Name} takes no header of {headerSize} bytes", Marshal.GetLastPInvokeError());
        }

        int isLittleEndian = 1;
        if (Ioctl.Control(Descriptor, Ioctl.SetLittleEndian, &isLittleEndian) != 0)
        {
            throw HostError.OnOpen($"The interface {Name} takes no header of virtio 1", Marshal.GetLastPInvokeError());
        }

        HeaderSize = headerSize;
        NetOffloads offloads = NetOffloads.None;
        if (usesOffloads && TryAccept(NetOffloads.Checksum))
        {
            offloads = NetOffloads.Checksum;
            foreach (NetOffloads one in (ReadOnlySpan<NetOffloads>)[NetOffloads.Tcp4, NetOffloads.Tcp6, NetOffloads.TcpEcn, NetOffloads.Udp])
            {
                bool hasTcp = (offloads & (NetOffloads.Tcp4 | NetOffloads.Tcp6)) != 0;
                if ((one != NetOffloads.TcpEcn || hasTcp) && TryAccept(offloads | one))
                {
                    offloads |= one;
                }
            }
        }

        Offloads = offloads;
        Accept(NetOffloads.None);
    }

    private bool TryAccept(NetOffloads offloads)
    {
        uint flags = ((offloads & NetOffloads.Checksum) != 0 ? Ioctl.Checksum : 0)
            | ((offloads & NetOffloads.Tcp4) != 0 ? Ioctl.Tcp4 : 0)
            | ((offloads & NetOffloads.Tcp6) != 0 ? Ioctl.Tcp6 : 0)
            | ((offloads & NetOffloads.TcpEcn) != 0 ? Ioctl.TcpEcn : 0)
            | ((offloads & NetOffloads.Udp) != 0 ? Ioctl.Udp4 | Ioctl.Udp6 : 0);
        return Ioctl.Control(Descriptor, Ioctl.SetOffload, (nuint)flags) == 0;
    }
}
