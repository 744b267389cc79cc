using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;
using Uml.Net.Frames;
using Uml.Net.Polling;
using Uml.Net.Transports.Descriptors;
using Uml.Net.Transports.Raw;
using Uml.Net.Transports.Tap;

namespace Uml.Net.Transports.Hybrid;

/// <summary>
/// UML's <c>hybrid</c>: sends to a tap device, and receives what the host sends there by a packet socket, several frames at once. Needs what both of them
/// need: the tap, and CAP_NET_RAW.
/// </summary>
public sealed record HybridOptions : NetTransportOptions
{
    /// <summary>The tap interface. UML calls it <c>ifname</c>.</summary>
    public required string Interface { get; init; }

    internal override void Validate()
    {
        base.Validate();
        InterfaceName.Validate(Interface, nameof(Interface));
    }

    internal override INetTransport Open(TransportScope scope)
    {
        TapDevice device = TapDevice.Open(scope, Interface, NetOffload.Size, UsesOffloads);
        SafeFileHandle socket = PacketSocket.Open(scope, Interface, isPromiscuous: false, takesOutgoing: true, TakeOutgoingOnly());
        PolledDescriptor tap = scope.Poll(device.Descriptor), packets = scope.Poll(socket);
        NetTransportFeatures features = device.Describe(this, "hybrid");
        VirtioHeader header = new(NetOffload.Size);
        return new TapTransport(
            features,
            scope,
            device,
            new DescriptorSender(features.Name, tap, DescriptorKind.File, BatchDepth, header),
            new DescriptorReceiver(features.Name, packets, DescriptorKind.Datagrams, BatchDepth, new PacketHeader(), MessageExtra.Control));
    }

    /// <summary>
    /// A program of classic BPF: what the host sends to the device is what we receive; the rest is what we have sent. UML tells them by the source address.
    /// </summary>
    private static byte[] TakeOutgoingOnly()
    {
        // Load a byte at SKF_AD_OFF + SKF_AD_PKTTYPE; unless it is PACKET_OUTGOING, skip one; return all; return nothing.
        ReadOnlySpan<(ushort Code, byte IfTrue, byte IfFalse, uint Operand)> instructions =
            [(0x30, 0, 0, 0xFFFF_F004), (0x15, 0, 1, 4), (0x06, 0, 0, uint.MaxValue), (0x06, 0, 0, 0)];
        byte[] program = new byte[instructions.Length * 8];
        for (int i = 0; i < instructions.Length; i++)
        {
            Span<byte> at = program.AsSpan(i * 8);
            BinaryPrimitives.WriteUInt16LittleEndian(at, instructions[i].Code);
            (at[2], at[3]) = (instructions[i].IfTrue, instructions[i].IfFalse);
            BinaryPrimitives.WriteUInt32LittleEndian(at[4..], instructions[i].Operand);
        }

        return program;
    }
}
