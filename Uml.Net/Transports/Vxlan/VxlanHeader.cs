using System.Buffers.Binary;
using Uml.Net.Frames;
using Uml.Net.Transports.Descriptors;

namespace Uml.Net.Transports.Vxlan;

/// <summary>The header of VXLAN (RFC 7348, 5).</summary>
internal sealed class VxlanHeader(int network, byte[] peer) : FrameHeader
{
    private const uint NetworkIsValid = 0x0800_0000;
    private const int NetworkShift = 8;

    public override int SendLength => 2 * sizeof(uint);

    public override void Write(Span<byte> header, NetFrame frame, ulong number)
    {
        BinaryPrimitives.WriteUInt32BigEndian(header, NetworkIsValid);
        BinaryPrimitives.WriteUInt32BigEndian(header[sizeof(uint)..], (uint)network << NetworkShift);
    }

    public override int Read(ReadOnlySpan<byte> header, ReadOnlySpan<byte> extra, NetFrame frame) =>
        HostAddress.IsSameHost(extra, peer)
        && (BinaryPrimitives.ReadUInt32BigEndian(header) & NetworkIsValid) != 0
        && BinaryPrimitives.ReadUInt32BigEndian(header[sizeof(uint)..]) >> NetworkShift == network
            ? 0
            : Drop;
}
