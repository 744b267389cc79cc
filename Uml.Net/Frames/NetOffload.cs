using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Uml.Net.Frames;

/// <summary>
/// What is left to do for one frame: the first ten bytes of <c>struct virtio_net_hdr</c> (virtio 1.2, 5.1.6), which tap devices and packet
/// sockets speak as well. A default value stands for a frame that is complete.
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 2)]
public struct NetOffload : IEquatable<NetOffload>
{
    /// <summary>Bytes of a header without a count of buffers.</summary>
    public const int Size = 10;

    /// <summary>VIRTIO_NET_HDR_F_NEEDS_CSUM: the checksum at <see cref="ChecksumStart"/> + <see cref="ChecksumOffset"/> has to be completed.</summary>
    public const byte NeedsChecksum = 1;

    /// <summary>VIRTIO_NET_HDR_F_DATA_VALID: somebody has found the checksum right.</summary>
    public const byte DataIsValid = 2;

    /// <summary>What there is to be said about the checksum: <see cref="NeedsChecksum"/>, <see cref="DataIsValid"/>.</summary>
    public byte Flags { get; set; }

    /// <summary>How the frame is to be cut.</summary>
    public NetSegmentation Segmentation { get; set; }

    /// <summary>Bytes of all headers of a frame that is to be cut. A hint: what the headers say counts.</summary>
    public ushort HeaderLength { get; set; }

    /// <summary>Bytes of data in each piece of a frame that is to be cut, above its headers.</summary>
    public ushort SegmentSize { get; set; }

    /// <summary>Where the bytes begin that the checksum is made of, from the start of the frame; they go to its end.</summary>
    public ushort ChecksumStart { get; set; }

    /// <summary>Where the checksum stands, from <see cref="ChecksumStart"/>. It holds the sum of the pseudo-header.</summary>
    public ushort ChecksumOffset { get; set; }

    /// <summary>Whether nothing is left to do.</summary>
    public readonly bool IsComplete => (Flags & NeedsChecksum) == 0 && Segmentation == NetSegmentation.None;

    /// <summary>What the other side has to be able to do.</summary>
    public readonly NetOffloads Required => (Flags & NeedsChecksum) == 0 && Segmentation == NetSegmentation.None
        ? NetOffloads.None
        : NetOffloads.Checksum | ((Segmentation & ~NetSegmentation.Ecn) switch
        {
            NetSegmentation.Tcp4 => NetOffloads.Tcp4,
            NetSegmentation.Tcp6 => NetOffloads.Tcp6,
            NetSegmentation.Udp => NetOffloads.Udp,
            _ => NetOffloads.None,
        }) | ((Segmentation & NetSegmentation.Ecn) != 0 ? NetOffloads.TcpEcn : NetOffloads.None);

    /// <summary>Reads a header.</summary>
    /// <param name="header">At least <see cref="Size"/> bytes.</param>
    public static NetOffload Read(ReadOnlySpan<byte> header) => new()
    {
        Flags = header[0],
        Segmentation = (NetSegmentation)header[1],
        HeaderLength = BinaryPrimitives.ReadUInt16LittleEndian(header[2..]),
        SegmentSize = BinaryPrimitives.ReadUInt16LittleEndian(header[4..]),
        ChecksumStart = BinaryPrimitives.ReadUInt16LittleEndian(header[6..]),
        ChecksumOffset = BinaryPrimitives.ReadUInt16LittleEndian(header[8..]),
    };

    /// <summary>Writes a header.</summary>
    /// <param name="header">At least <see cref="Size"/> bytes.</param>
    public readonly void Write(Span<byte> header)
    {
        header[0] = Flags;
        header[1] = (byte)Segmentation;
        BinaryPrimitives.WriteUInt16LittleEndian(header[2..], HeaderLength);
        BinaryPrimitives.WriteUInt16LittleEndian(header[4..], SegmentSize);
        BinaryPrimitives.WriteUInt16LittleEndian(header[6..], ChecksumStart);
        BinaryPrimitives.WriteUInt16LittleEndian(header[8..], ChecksumOffset);
    }

    /// <inheritdoc/>
    public readonly bool Equals(NetOffload other) =>
        (Flags, Segmentation, HeaderLength, SegmentSize, ChecksumStart, ChecksumOffset)
        == (other.Flags, other.Segmentation, other.HeaderLength, other.SegmentSize, other.ChecksumStart, other.ChecksumOffset);

    /// <inheritdoc/>
    public override readonly bool Equals(object? obj) => obj is NetOffload other && Equals(other);

    /// <inheritdoc/>
    public override readonly int GetHashCode() => HashCode.Combine(Flags, Segmentation, HeaderLength, SegmentSize, ChecksumStart, ChecksumOffset);

    /// <summary>Whether two are equal.</summary>
    public static bool operator ==(NetOffload left, NetOffload right) => left.Equals(right);

    /// <summary>Whether two differ.</summary>
    public static bool operator !=(NetOffload left, NetOffload right) => !left.Equals(right);
}

/// <summary>How a frame is to be cut (VIRTIO_NET_HDR_GSO of virtio 1.2, 5.1.6).</summary>
[Flags]
public enum NetSegmentation : byte
{
    /// <summary>Not at all.</summary>
    None = 0,

    /// <summary>TCP over IPv4.</summary>
    Tcp4 = 1,

    /// <summary>TCP over IPv6.</summary>
    Tcp6 = 4,

    /// <summary>UDP, into datagrams.</summary>
    Udp = 5,

    /// <summary>The first segment alone keeps CWR; beside one of the others.</summary>
    Ecn = 0x80,
}
