using Uml.Net.Frames;
using Uml.Net.Polling;
using Uml.Net.Transports.Descriptors;

namespace Uml.Net.Transports.Tap;

/// <summary>
/// UML's <c>tap</c>: an interface of the host, with offloads. It has to be up (<c>ip link set tap0 up</c>), or what is sent is lost. Needs CAP_NET_ADMIN,
/// or an interface that belongs to the user (<c>ip tuntap add tap0 mode tap vnet_hdr user NAME</c>).
/// </summary>
public sealed record TapOptions : NetTransportOptions
{
    /// <summary>The interface; made, for as long as the transport is open, where there is none. Null to have one made with a name of the host's choice. UML calls it <c>ifname</c>.</summary>
    public string? Interface { get; init; }

    /// <summary>The descriptor of a tap device that is open already, in place of a name. It is duplicated, and stays the caller's; it no longer blocks.</summary>
    public int? Descriptor { get; init; }

    /// <summary>Bytes of virtio's header before each frame: 10, or 12 with the count of buffers.</summary>
    public int HeaderSize { get; init; } = NetOffload.Size;

    internal override void Validate()
    {
        base.Validate();
        if (Interface is not null)
        {
            InterfaceName.Validate(Interface, nameof(Interface));
        }

        if (Interface is not null && Descriptor is not null)
        {
            throw new ArgumentException("An interface and a descriptor are given: give one of them.", nameof(Descriptor));
        }

        if (HeaderSize is not (NetOffload.Size or VirtioHeader.LongSize))
        {
            throw new ArgumentOutOfRangeException(nameof(HeaderSize), HeaderSize, $"A header has {NetOffload.Size} or {VirtioHeader.LongSize} bytes.");
        }
    }

    internal override INetTransport Open(TransportScope scope)
    {
        TapDevice device = Descriptor is { } descriptor
            ? TapDevice.Adopt(scope, descriptor, HeaderSize, UsesOffloads)
            : TapDevice.Open(scope, Interface, HeaderSize, UsesOffloads);
        PolledDescriptor polled = scope.Poll(device.Descriptor);
        NetTransportFeatures features = device.Describe(this, "tap");
        FrameHeader? header = device.HeaderSize == 0 ? null : new VirtioHeader(device.HeaderSize);
        return new TapTransport(
            features,
            scope,
            device,
            new DescriptorSender(features.Name, polled, DescriptorKind.File, BatchDepth, header),
            new DescriptorReceiver(features.Name, polled, DescriptorKind.File, BatchDepth, header));
    }
}

/// <summary>A transport whose offloads are the tap device's.</summary>
internal sealed class TapTransport(
    NetTransportFeatures features, TransportScope scope, TapDevice device, DescriptorSender sender, DescriptorReceiver receiver)
    : DescriptorTransport(features, scope, sender, receiver)
{
    public override void AcceptOffloads(NetOffloads offloads)
    {
        base.AcceptOffloads(offloads);
        device.Accept(offloads);
    }
}
