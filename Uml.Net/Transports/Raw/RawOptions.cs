using Microsoft.Win32.SafeHandles;
using Uml.Net.Frames;
using Uml.Net.Polling;
using Uml.Net.Transports.Descriptors;
using Uml.Net.Transports.Tap;

namespace Uml.Net.Transports.Raw;

/// <summary>
/// UML's <c>raw</c>: everything that comes at an interface of the host, and goes out there, by a packet socket. Needs CAP_NET_RAW. The host itself and the
/// guest do not see each other there.
/// </summary>
public sealed record RawOptions : NetTransportOptions
{
    /// <summary>The interface. UML calls it <c>ifname</c>.</summary>
    public required string Interface { get; init; }

    /// <summary>Whether the interface receives what is for other addresses than its own, as a guest's is.</summary>
    public bool IsPromiscuous { get; init; } = true;

    /// <summary>A file with a program of classic BPF, eight bytes for each instruction, that says which frames are received; null for all. UML calls it <c>bpffile</c>.</summary>
    public string? FilterFile { get; init; }

    /// <summary>Whether the guest may load a program too (<see cref="INetFilterLoader"/>). UML calls it <c>bpfflash</c>.</summary>
    public bool AllowsFilterLoading { get; init; }

    internal override void Validate()
    {
        base.Validate();
        InterfaceName.Validate(Interface, nameof(Interface));
    }

    internal override INetTransport Open(TransportScope scope)
    {
        byte[]? filter = FilterFile is null ? null : ReadFilter(FilterFile);
        SafeFileHandle socket = PacketSocket.Open(scope, Interface, IsPromiscuous, takesOutgoing: false, filter);
        PolledDescriptor polled = scope.Poll(socket);
        NetOffloads offloads = UsesOffloads ? NetOffloads.All : NetOffloads.None;
        NetTransportFeatures features = Describe($"raw {Interface}") with
        {
            MaximumFrameLength = UsesOffloads ? NetTransportFeatures.LongestFrame : Mtu + NetTransportFeatures.FrameOverhead,
            SendOffloads = offloads,
            ReceiveOffloads = offloads,
        };
        PacketHeader header = new();
        return new RawTransport(
            features,
            scope,
            socket,
            new DescriptorSender(features.Name, polled, DescriptorKind.Datagrams, BatchDepth, header),
            new DescriptorReceiver(features.Name, polled, DescriptorKind.Datagrams, BatchDepth, header, MessageExtra.Control),
            AllowsFilterLoading);
    }

    internal static byte[] ReadFilter(string path)
    {
        byte[] program;
        try
        {
            using FileStream file = File.OpenRead(path);
            program = new byte[Math.Min(file.Length, (ClassicBpf.MaximumInstructions + 1) * ClassicBpf.InstructionLength)];
            file.ReadExactly(program);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new NetTransportException($"The BPF program '{path}' (bpffile) cannot be read: {exception.Message} Check its path and permissions.", exception);
        }

        ClassicBpf.Check(program);
        return program;
    }
}
