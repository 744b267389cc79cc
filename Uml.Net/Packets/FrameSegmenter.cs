using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Uml.Net.Frames;

namespace Uml.Net.Packets;

/// <summary>
/// Cuts a frame into segments of TCP, or datagrams of UDP, with headers of their own and complete checksums, as hardware does. The data is not
/// copied: a segment's pieces are its header and parts of the frame's.
/// </summary>
internal sealed class FrameSegmenter
{
    /// <summary>The most segments of a frame: 64 KiB in segments of 48 bytes, the least that Linux sends. A limit of ours.</summary>
    public const int MaximumSegments = 1366;

    private const int TotalLengthField4 = 2, IdentificationField4 = 4, ChecksumField4 = 10, LengthField6 = 4;
    private const int SequenceField = 4, DataOffsetField = 12, FlagsField = 13, TcpChecksumField = 16;
    private const int UdpLengthField = 4, UdpChecksumField = 6;
    private const byte Fin = 1, Push = 8, Cwr = 0x80;

    private readonly byte[] _head = new byte[FrameLayout.HeadLength];
    private NetFrame? _frame;
    private FrameLayout _layout;
    private int _headerLength, _segmentSize, _next;

    /// <summary>Segments of the frame.</summary>
    public int Count { get; private set; }

    /// <summary>Whether all of them were made.</summary>
    public bool IsDone => _next == Count;

    /// <summary>Bytes of a segment's header: what <see cref="MakeNext"/> needs room for.</summary>
    public int HeaderLength => _headerLength;

    /// <summary>Begins with a frame that has to be cut.</summary>
    /// <returns>False when its headers are none that can be cut, or do not agree with what is left to do.</returns>
    public bool TryBegin(NetFrame frame)
    {
        (_frame, Count, _next) = (null, 0, 0);
        int headLength = frame.CopyTo(_head);
        NetOffload offload = frame.Offload;
        if (!FrameLayout.TryParse(_head.AsSpan(0, headLength), out _layout) || _layout.IsFragment || !TryGetHeaderLength(offload.Segmentation, headLength))
        {
            return false;
        }

        int data = frame.Length - _headerLength;
        _segmentSize = offload.SegmentSize;
        if (data <= 0 || _segmentSize == 0 || (data + _segmentSize - 1) / _segmentSize > MaximumSegments)
        {
            return false;
        }

        _frame = frame;
        Count = (data + _segmentSize - 1) / _segmentSize;
        return true;
    }

    /// <summary>Leaves segments out that were made before.</summary>
    /// <param name="count">How many; when there are not as many, none is left.</param>
    public void Skip(int count) => _next = Math.Min(count, Count);

    /// <summary>Makes the next segment.</summary>
    /// <param name="segment">Gets it.</param>
    /// <param name="header">Room for its header, which stays its own while the segment is used.</param>
    public void MakeNext(NetFrame segment, Memory<byte> header)
    {
        int index = _next++;
        int start = index * _segmentSize;
        int length = Math.Min(_segmentSize, _frame!.Length - _headerLength - start);
        _head.AsSpan(0, _headerLength).CopyTo(header.Span);
        segment.Clear();
        segment.Add(header[.._headerLength]);
        segment.AddPart(_frame, _headerLength + start, length);
        WriteNetworkHeader(header.Span, index, length);
        WriteTransportHeader(header.Span, segment, index, start, length);
    }

    private bool TryGetHeaderLength(NetSegmentation segmentation, int headLength)
    {
        int transport = _layout.Transport;
        switch (segmentation & ~NetSegmentation.Ecn)
        {
            case NetSegmentation.Tcp4 when _layout.Protocol == FrameLayout.Tcp && !_layout.IsIp6:
            case NetSegmentation.Tcp6 when _layout.Protocol == FrameLayout.Tcp && _layout.IsIp6:
                if (headLength < transport + FrameLayout.TcpLength)
                {
                    return false;
                }

                int length = (_head[transport + DataOffsetField] >> 4) * 4;
                _headerLength = transport + length;
                return length >= FrameLayout.TcpLength && _headerLength <= headLength;
            case NetSegmentation.Udp when _layout.Protocol == FrameLayout.Udp:
                _headerLength = transport + FrameLayout.UdpLength;
                return _headerLength <= headLength;
            default:
                return false;
        }
    }

    private void WriteNetworkHeader(Span<byte> header, int index, int length)
    {
        Span<byte> network = header[_layout.Network.._layout.Transport];
        int behind = _headerLength - _layout.Transport + length;
        if (_layout.IsIp6)
        {
            BinaryPrimitives.WriteUInt16BigEndian(network[LengthField6..], (ushort)(network.Length - FrameLayout.Ip6Length + behind));
            return;
        }

        BinaryPrimitives.WriteUInt16BigEndian(network[TotalLengthField4..], (ushort)(network.Length + behind));
        ushort identification = BinaryPrimitives.ReadUInt16BigEndian(network[IdentificationField4..]);
        BinaryPrimitives.WriteUInt16BigEndian(network[IdentificationField4..], (ushort)(identification + index));
        network.Slice(ChecksumField4, sizeof(ushort)).Clear();
        InternetChecksum.Write(network[ChecksumField4..], InternetChecksum.Add(network));
    }

    private void WriteTransportHeader(Span<byte> header, NetFrame segment, int index, int start, int length)
    {
        Span<byte> transport = header[_layout.Transport.._headerLength];
        int checksumField;
        if (_layout.Protocol == FrameLayout.Tcp)
        {
            checksumField = TcpChecksumField;
            uint sequence = BinaryPrimitives.ReadUInt32BigEndian(transport[SequenceField..]);
            BinaryPrimitives.WriteUInt32BigEndian(transport[SequenceField..], sequence + (uint)start);
            byte dropped = (byte)((index == 0 ? 0 : Cwr) | (IsDone ? 0 : Fin | Push));
            transport[FlagsField] &= (byte)~dropped;
        }
        else
        {
            checksumField = UdpChecksumField;
            BinaryPrimitives.WriteUInt16BigEndian(transport[UdpLengthField..], (ushort)(FrameLayout.UdpLength + length));
        }

        transport.Slice(checksumField, sizeof(ushort)).Clear();
        ulong sum = _layout.SumPseudoHeader(header, transport.Length + length);
        ushort checksum = InternetChecksum.Complete(InternetChecksum.Add(segment, _layout.Transport, sum));

        // Zero would say that a datagram of UDP has none (RFC 768).
        MemoryMarshal.Write(transport[checksumField..], checksum == 0 ? ushort.MaxValue : checksum);
    }
}
