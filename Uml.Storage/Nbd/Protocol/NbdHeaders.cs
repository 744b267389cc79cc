using System.Buffers.Binary;

namespace Uml.Storage.Nbd.Protocol;

/// <summary>"Request message": what stands before the data of a request.</summary>
internal readonly record struct NbdRequestHeader(NbdCommandFlags Flags, NbdCommand Command, ulong Cookie, ulong Offset, uint Length)
{
    public const int Size = 28;

    public static uint ReadMagic(ReadOnlySpan<byte> bytes) => BinaryPrimitives.ReadUInt32BigEndian(bytes);

    public static NbdRequestHeader Read(ReadOnlySpan<byte> bytes) => new(
        (NbdCommandFlags)BinaryPrimitives.ReadUInt16BigEndian(bytes[4..]),
        (NbdCommand)BinaryPrimitives.ReadUInt16BigEndian(bytes[6..]),
        BinaryPrimitives.ReadUInt64BigEndian(bytes[8..]),
        BinaryPrimitives.ReadUInt64BigEndian(bytes[16..]),
        BinaryPrimitives.ReadUInt32BigEndian(bytes[24..]));

    public int Write(Span<byte> bytes)
    {
        BinaryPrimitives.WriteUInt32BigEndian(bytes, NbdProtocol.RequestMagic);
        BinaryPrimitives.WriteUInt16BigEndian(bytes[4..], (ushort)Flags);
        BinaryPrimitives.WriteUInt16BigEndian(bytes[6..], (ushort)Command);
        BinaryPrimitives.WriteUInt64BigEndian(bytes[8..], Cookie);
        BinaryPrimitives.WriteUInt64BigEndian(bytes[16..], Offset);
        BinaryPrimitives.WriteUInt32BigEndian(bytes[24..], Length);
        return Size;
    }
}

/// <summary>"Simple reply message".</summary>
internal readonly record struct NbdSimpleReply(uint Error, ulong Cookie)
{
    public const int Size = 16;

    public static NbdSimpleReply Read(ReadOnlySpan<byte> bytes) =>
        new(BinaryPrimitives.ReadUInt32BigEndian(bytes[4..]), BinaryPrimitives.ReadUInt64BigEndian(bytes[8..]));

    public int Write(Span<byte> bytes)
    {
        BinaryPrimitives.WriteUInt32BigEndian(bytes, NbdProtocol.SimpleReplyMagic);
        BinaryPrimitives.WriteUInt32BigEndian(bytes[4..], Error);
        BinaryPrimitives.WriteUInt64BigEndian(bytes[8..], Cookie);
        return Size;
    }
}

/// <summary>"Structured reply chunk message": what stands before the payload of a chunk.</summary>
internal readonly record struct NbdChunkHeader(bool IsLast, NbdChunk Type, ulong Cookie, uint Length)
{
    public const int Size = 20;

    private const ushort DoneFlag = 1;

    public static NbdChunkHeader Read(ReadOnlySpan<byte> bytes) => new(
        (BinaryPrimitives.ReadUInt16BigEndian(bytes[4..]) & DoneFlag) != 0,
        (NbdChunk)BinaryPrimitives.ReadUInt16BigEndian(bytes[6..]),
        BinaryPrimitives.ReadUInt64BigEndian(bytes[8..]),
        BinaryPrimitives.ReadUInt32BigEndian(bytes[16..]));

    public int Write(Span<byte> bytes)
    {
        BinaryPrimitives.WriteUInt32BigEndian(bytes, NbdProtocol.ChunkMagic);
        BinaryPrimitives.WriteUInt16BigEndian(bytes[4..], IsLast ? DoneFlag : (ushort)0);
        BinaryPrimitives.WriteUInt16BigEndian(bytes[6..], (ushort)Type);
        BinaryPrimitives.WriteUInt64BigEndian(bytes[8..], Cookie);
        BinaryPrimitives.WriteUInt32BigEndian(bytes[16..], Length);
        return Size;
    }
}

/// <summary>"Fixed newstyle negotiation": an option, as the client sends it, before its data.</summary>
internal readonly record struct NbdOptionHeader(NbdOption Option, uint Length)
{
    public const int Size = 16;

    public static NbdOptionHeader Read(ReadOnlySpan<byte> bytes)
    {
        ulong magic = BinaryPrimitives.ReadUInt64BigEndian(bytes);
        return magic == NbdProtocol.OptionMagic
            ? new((NbdOption)BinaryPrimitives.ReadUInt32BigEndian(bytes[8..]), BinaryPrimitives.ReadUInt32BigEndian(bytes[12..]))
            : throw new NbdProtocolException($"an option begins with {magic:X16}H instead of {NbdProtocol.OptionMagic:X16}H");
    }

    public int Write(Span<byte> bytes)
    {
        BinaryPrimitives.WriteUInt64BigEndian(bytes, NbdProtocol.OptionMagic);
        BinaryPrimitives.WriteUInt32BigEndian(bytes[8..], (uint)Option);
        BinaryPrimitives.WriteUInt32BigEndian(bytes[12..], Length);
        return Size;
    }
}

/// <summary>"Fixed newstyle negotiation": the server's reply to an option, before its data.</summary>
internal readonly record struct NbdOptionReplyHeader(NbdOption Option, NbdOptionReply Reply, uint Length)
{
    public const int Size = 20;

    public static NbdOptionReplyHeader Read(ReadOnlySpan<byte> bytes)
    {
        ulong magic = BinaryPrimitives.ReadUInt64BigEndian(bytes);
        return magic == NbdProtocol.OptionReplyMagic
            ? new(
                (NbdOption)BinaryPrimitives.ReadUInt32BigEndian(bytes[8..]),
                (NbdOptionReply)BinaryPrimitives.ReadUInt32BigEndian(bytes[12..]),
                BinaryPrimitives.ReadUInt32BigEndian(bytes[16..]))
            : throw new NbdProtocolException($"a reply to an option begins with {magic:X16}H instead of {NbdProtocol.OptionReplyMagic:X16}H");
    }

    public int Write(Span<byte> bytes)
    {
        BinaryPrimitives.WriteUInt64BigEndian(bytes, NbdProtocol.OptionReplyMagic);
        BinaryPrimitives.WriteUInt32BigEndian(bytes[8..], (uint)Option);
        BinaryPrimitives.WriteUInt32BigEndian(bytes[12..], (uint)Reply);
        BinaryPrimitives.WriteUInt32BigEndian(bytes[16..], Length);
        return Size;
    }
}
