using System.Buffers.Binary;
using Uml.Net.Frames;
using Uml.Net.Transports.Descriptors;
using Uml.Net.Transports.Tap;

namespace Uml.Net.Transports.Raw;

/// <summary>
/// Virtio's header on a packet socket. The host takes the outer VLAN tag off a frame that it receives and tells of it beside (packet(7),
/// PACKET_AUXDATA): it is put back.
/// </summary>
internal sealed class PacketHeader : FrameHeader
{
    // struct cmsghdr, and struct tpacket_auxdata behind it.
    private const int StatusField = 16, TagField = 32, TypeField = 34, ControlLength = 36;
    private const uint TagIsValid = 0x10, TypeIsValid = 0x40;
    private const ushort DefaultType = 0x8100;
    private const int AddressesLength = 12, TagLength = 4;

    private readonly VirtioHeader _header = new(NetOffload.Size);

    public override int SendLength => _header.SendLength;

    public override void Write(Span<byte> header, NetFrame frame, ulong number) => _header.Write(header, frame, number);

    public override int Read(ReadOnlySpan<byte> header, ReadOnlySpan<byte> extra, NetFrame frame)
    {
        int result = _header.Read(header, extra, frame);
        uint status = extra.Length < ControlLength ? 0 : BinaryPrimitives.ReadUInt32LittleEndian(extra[StatusField..]);
        return (status & TagIsValid) == 0 || TryRestore(frame, extra, (status & TypeIsValid) != 0) ? result : Drop;
    }

    private static bool TryRestore(NetFrame frame, ReadOnlySpan<byte> extra, bool hasType)
    {
        Span<byte> tag = stackalloc byte[TagLength];
        BinaryPrimitives.WriteUInt16BigEndian(tag, hasType ? BinaryPrimitives.ReadUInt16LittleEndian(extra[TypeField..]) : DefaultType);
        BinaryPrimitives.WriteUInt16BigEndian(tag[sizeof(ushort)..], BinaryPrimitives.ReadUInt16LittleEndian(extra[TagField..]));
        NetOffload offload = frame.Offload;
        if ((offload.Flags & NetOffload.NeedsChecksum) != 0)
        {
            offload.ChecksumStart += TagLength;
        }

        if (offload.Segmentation != NetSegmentation.None)
        {
            offload.HeaderLength += TagLength;
        }

        frame.Offload = offload;
        return FramePieces.TryInsert(frame, AddressesLength, tag);
    }
}
