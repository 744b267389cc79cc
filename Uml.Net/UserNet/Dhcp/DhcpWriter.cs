using System.Buffers.Binary;
using System.Text;
using Uml.Net.Packets;

namespace Uml.Net.UserNet.Dhcp;

/// <summary>Writes what a server of DHCP answers.</summary>
internal ref struct DhcpWriter
{
    /// <summary>Bytes that every client takes (RFC 2131, 2).</summary>
    public const int MaximumLength = 548;

    /// <summary>The least that BOOTP relays and clients expect (RFC 1542, 2.1).</summary>
    private const int MinimumLength = 300;

    private const byte ReplyOperation = 2, KindOption = 53, EndOption = 255;

    private readonly Span<byte> _bytes;
    private int _length;

    /// <param name="bytes">Room for <see cref="MaximumLength"/> bytes.</param>
    /// <param name="request">What is answered.</param>
    /// <param name="kind">The answer's kind.</param>
    /// <param name="address">The client's address; 0 for none.</param>
    public DhcpWriter(Span<byte> bytes, in DhcpMessage request, DhcpKind kind, uint address)
    {
        _bytes = bytes;
        bytes.Clear();
        (bytes[0], bytes[1], bytes[2]) = (ReplyOperation, 1, IpHeader.MacLength);
        BinaryPrimitives.WriteUInt32BigEndian(bytes[4..], request.Transaction);
        bytes[10] = request.WantsBroadcast ? (byte)0x80 : (byte)0;
        BinaryPrimitives.WriteUInt32BigEndian(bytes[12..], kind == DhcpKind.Nak ? 0 : request.ClientAddress);
        BinaryPrimitives.WriteUInt32BigEndian(bytes[16..], address);
        IpHeader.WriteMac(bytes[28..], request.Mac);
        BinaryPrimitives.WriteUInt32BigEndian(bytes[(DhcpMessage.OptionsField - 4)..], DhcpMessage.Cookie);
        _length = DhcpMessage.OptionsField;
        Add(KindOption, [(byte)kind]);
    }

    public void Add(byte option, uint value)
    {
        Span<byte> bytes = stackalloc byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, value);
        Add(option, bytes);
    }

    public void Add(byte option, ushort value) => Add(option, [(byte)(value >> 8), (byte)value]);

    public void Add(byte option, string value)
    {
        Span<byte> bytes = stackalloc byte[byte.MaxValue];
        Add(option, bytes[..Encoding.ASCII.GetBytes(value, bytes)]);
    }

    /// <summary>Ends the options.</summary>
    /// <returns>The message.</returns>
    public ReadOnlySpan<byte> Finish()
    {
        _bytes[_length++] = EndOption;
        return _bytes[..Math.Max(_length, MinimumLength)];
    }

    private void Add(byte option, scoped ReadOnlySpan<byte> value)
    {
        (_bytes[_length], _bytes[_length + 1]) = (option, (byte)value.Length);
        value.CopyTo(_bytes[(_length + 2)..]);
        _length += 2 + value.Length;
    }
}
