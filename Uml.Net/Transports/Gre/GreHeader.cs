using System.Buffers.Binary;
using Uml.Net.Frames;
using Uml.Net.Transports.Descriptors;

namespace Uml.Net.Transports.Gre;

/// <summary>The header of GRE (RFC 2890, 2): flags, what is inside, the key, and the sequence number behind it.</summary>
internal sealed class GreHeader(GreOptions options) : FrameHeader
{
    /// <summary>Transparent Ethernet bridging (RFC 1701).</summary>
    private const uint Ethernet = 0x6558;

    private const uint KeyBit = 0x2000_0000, SequenceBit = 0x1000_0000;

    private readonly uint _first = Ethernet | (options.ReceiveKey is null ? 0 : KeyBit) | (options.HasSequence ? SequenceBit : 0);
    private readonly int _sequence = sizeof(uint) + (options.ReceiveKey is null ? 0 : sizeof(uint));

    public override int SendLength => _sequence + (options.HasSequence ? sizeof(uint) : 0);

    public override void Write(Span<byte> header, NetFrame frame, ulong number)
    {
        BinaryPrimitives.WriteUInt32BigEndian(header, _first);
        if (options.SendKey is { } key)
        {
            BinaryPrimitives.WriteUInt32BigEndian(header[sizeof(uint)..], key);
        }

        if (options.HasSequence)
        {
            BinaryPrimitives.WriteUInt32BigEndian(header[_sequence..], options.IsSequencePinned ? 0 : options.FirstSequence + (uint)number);
        }
    }

    public override int Read(ReadOnlySpan<byte> header, ReadOnlySpan<byte> extra, NetFrame frame) =>
        BinaryPrimitives.ReadUInt32BigEndian(header) == _first
        && (options.ReceiveKey is not { } key || BinaryPrimitives.ReadUInt32BigEndian(header[sizeof(uint)..]) == key)
            ? 0
            : Drop;
}
