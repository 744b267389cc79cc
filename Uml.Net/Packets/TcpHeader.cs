using System.Buffers.Binary;
using System.Runtime.CompilerServices;

namespace Uml.Net.Packets;

/// <summary>Bits of a TCP header (RFC 9293, 3.1).</summary>
[Flags]
internal enum TcpFlags : byte
{
    None = 0,
    Fin = 1,
    Syn = 2,
    Reset = 4,
    Push = 8,
    Ack = 0x10,
    Urgent = 0x20,
}

/// <summary>A range of sequence numbers.</summary>
/// <param name="Start">The first.</param>
/// <param name="End">The one behind the last.</param>
internal readonly record struct TcpRange(uint Start, uint End)
{
    /// <summary>How many numbers it has; sequence numbers wrap around.</summary>
    public int Length => (int)(End - Start);
}

/// <summary>The ranges of an option SACK: no more than four fit (RFC 2018, 3).</summary>
[InlineArray(Capacity)]
internal struct TcpRanges
{
    public const int Capacity = 4;

    private TcpRange _first;
}

/// <summary>A TCP header with the options that this stack knows (RFC 9293, 3.2; RFC 2018; RFC 7323).</summary>
internal struct TcpHeader
{
    /// <summary>The longest header: what four bits can say.</summary>
    public const int MaximumLength = 60;

    /// <summary>Bytes of the option for timestamps, filled up to whole words.</summary>
    public const int TimestampLength = 12;

    /// <summary>The largest shift of a window (RFC 7323, 2.3).</summary>
    public const byte MaximumWindowShift = 14;

    public const int ChecksumField = 16;

    private const int SourceField = 0, DestinationField = 2, SequenceField = 4, AcknowledgmentField = 8, OffsetField = 12, FlagsField = 13, WindowField = 14;
    private const byte EndOption = 0, NoOption = 1, SegmentSizeOption = 2, WindowScaleOption = 3, SackPermittedOption = 4, SackOption = 5, TimestampOption = 8;
    private const int SegmentSizeLength = 4, WindowScaleLength = 3, SackPermittedLength = 2, TimestampOptionLength = 10, RangeLength = 8;

    public ushort Source, Destination;
    public uint Sequence, Acknowledgment;
    public TcpFlags Flags;
    public ushort Window;

    /// <summary>The peer's maximum segment size; 0 where it says none.</summary>
    public ushort SegmentSize;

    public byte WindowShift;
    public bool HasWindowShift, IsSackPermitted, HasTimestamp;
    public uint Timestamp, TimestampEcho;
    public int SackCount;
    public TcpRanges Sacks;

    /// <summary>Reads a header.</summary>
    /// <param name="bytes">The header, and maybe more.</param>
    /// <param name="header">What it says. Options that lie about their length end the options.</param>
    /// <param name="length">Bytes of the header.</param>
    /// <returns>False when it is cut off, or shorter than a header is.</returns>
    public static bool TryRead(ReadOnlySpan<byte> bytes, out TcpHeader header, out int length)
    {
        header = default;
        length = 0;
        if (bytes.Length < FrameLayout.TcpLength)
        {
            return false;
        }

        length = (bytes[OffsetField] >> 4) * 4;
        if (length < FrameLayout.TcpLength || length > bytes.Length)
        {
            return false;
        }

        header.Source = BinaryPrimitives.ReadUInt16BigEndian(bytes[SourceField..]);
        header.Destination = BinaryPrimitives.ReadUInt16BigEndian(bytes[DestinationField..]);
        header.Sequence = BinaryPrimitives.ReadUInt32BigEndian(bytes[SequenceField..]);
        header.Acknowledgment = BinaryPrimitives.ReadUInt32BigEndian(bytes[AcknowledgmentField..]);
        header.Flags = (TcpFlags)bytes[FlagsField];
        header.Window = BinaryPrimitives.ReadUInt16BigEndian(bytes[WindowField..]);
        header.ReadOptions(bytes[FrameLayout.TcpLength..length]);
        return true;
    }

    /// <summary>Writes the header, without a checksum.</summary>
    /// <param name="bytes">Room for <see cref="MaximumLength"/> bytes.</param>
    /// <returns>Its length.</returns>
    public readonly int Write(Span<byte> bytes)
    {
        int length = FrameLayout.TcpLength;
        if (SegmentSize != 0)
        {
            (bytes[length], bytes[length + 1]) = (SegmentSizeOption, SegmentSizeLength);
            BinaryPrimitives.WriteUInt16BigEndian(bytes[(length + 2)..], SegmentSize);
            length += SegmentSizeLength;
        }

        if (HasWindowShift)
        {
            (bytes[length], bytes[length + 1], bytes[length + 2], bytes[length + 3]) = (NoOption, WindowScaleOption, WindowScaleLength, WindowShift);
            length += 1 + WindowScaleLength;
        }

        if (IsSackPermitted)
        {
            (bytes[length], bytes[length + 1], bytes[length + 2], bytes[length + 3]) = (NoOption, NoOption, SackPermittedOption, SackPermittedLength);
            length += 2 + SackPermittedLength;
        }

        if (HasTimestamp)
        {
            (bytes[length], bytes[length + 1], bytes[length + 2], bytes[length + 3]) = (NoOption, NoOption, TimestampOption, TimestampOptionLength);
            BinaryPrimitives.WriteUInt32BigEndian(bytes[(length + 4)..], Timestamp);
            BinaryPrimitives.WriteUInt32BigEndian(bytes[(length + 8)..], TimestampEcho);
            length += TimestampLength;
        }

        length += WriteSacks(bytes[length..]);
        BinaryPrimitives.WriteUInt16BigEndian(bytes[SourceField..], Source);
        BinaryPrimitives.WriteUInt16BigEndian(bytes[DestinationField..], Destination);
        BinaryPrimitives.WriteUInt32BigEndian(bytes[SequenceField..], Sequence);
        BinaryPrimitives.WriteUInt32BigEndian(bytes[AcknowledgmentField..], Acknowledgment);
        (bytes[OffsetField], bytes[FlagsField]) = ((byte)(length / 4 << 4), (byte)Flags);
        BinaryPrimitives.WriteUInt16BigEndian(bytes[WindowField..], Window);
        BinaryPrimitives.WriteUInt32BigEndian(bytes[ChecksumField..], 0);
        return length;
    }

    private readonly int WriteSacks(Span<byte> bytes)
    {
        // Three beside timestamps (RFC 2018, 3).
        int count = Math.Min(SackCount, HasTimestamp ? TcpRanges.Capacity - 1 : TcpRanges.Capacity);
        if (count == 0)
        {
            return 0;
        }

        (bytes[0], bytes[1], bytes[2], bytes[3]) = (NoOption, NoOption, SackOption, (byte)(2 + (count * RangeLength)));
        for (int i = 0; i < count; i++)
        {
            BinaryPrimitives.WriteUInt32BigEndian(bytes[(4 + (i * RangeLength))..], Sacks[i].Start);
            BinaryPrimitives.WriteUInt32BigEndian(bytes[(8 + (i * RangeLength))..], Sacks[i].End);
        }

        return 4 + (count * RangeLength);
    }

    private void ReadOptions(ReadOnlySpan<byte> options)
    {
        while (options.Length != 0 && options[0] != EndOption)
        {
            if (options[0] == NoOption)
            {
                options = options[1..];
                continue;
            }

            if (options.Length < 2 || options[1] < 2 || options[1] > options.Length)
            {
                return;
            }

            ReadOption(options[0], options[2..options[1]]);
            options = options[options[1]..];
        }
    }

    private void ReadOption(byte kind, ReadOnlySpan<byte> value)
    {
        switch (kind, value.Length + 2)
        {
            case (SegmentSizeOption, SegmentSizeLength):
                SegmentSize = BinaryPrimitives.ReadUInt16BigEndian(value);
                break;
            case (WindowScaleOption, WindowScaleLength):
                (WindowShift, HasWindowShift) = (Math.Min(value[0], MaximumWindowShift), true);
                break;
            case (SackPermittedOption, SackPermittedLength):
                IsSackPermitted = true;
                break;
            case (TimestampOption, TimestampOptionLength):
                HasTimestamp = true;
                Timestamp = BinaryPrimitives.ReadUInt32BigEndian(value);
                TimestampEcho = BinaryPrimitives.ReadUInt32BigEndian(value[4..]);
                break;
            case (SackOption, _):
                SackCount = Math.Min(value.Length / RangeLength, TcpRanges.Capacity);
                for (int i = 0; i < SackCount; i++)
                {
                    Sacks[i] = new TcpRange(BinaryPrimitives.ReadUInt32BigEndian(value[(i * RangeLength)..]), BinaryPrimitives.ReadUInt32BigEndian(value[((i * RangeLength) + 4)..]));
                }

                break;
        }
    }
}
