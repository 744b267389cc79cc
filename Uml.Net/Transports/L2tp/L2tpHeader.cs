using System.Buffers.Binary;
using Uml.Net.Frames;
using Uml.Net.Transports.Descriptors;

namespace Uml.Net.Transports.L2tp;

/// <summary>The header of a data message (RFC 3931, 4.1), with the cookie, and the slot of the default sublayer (4.6).</summary>
internal sealed class L2tpHeader(L2tpOptions options) : FrameHeader
{
    /// <summary>Before the session, over UDP alone: the version; the bit T tells control messages (RFC 3931, 4.1.2.1).</summary>
    private const uint Version3 = 0x0003_0000, ControlBit = 0x8000_0000;

    private const uint SequenceMask = 0xFF_FFFF;

    private readonly int _session = options.UsesUdp ? sizeof(uint) : 0;
    private readonly int _cookieLength = options.ReceiveCookie is null ? 0 : options.HasLongCookies ? sizeof(ulong) : sizeof(uint);

    public override int SendLength => _session + sizeof(uint) + _cookieLength + (options.HasCounter ? sizeof(uint) : 0);

    public override void Write(Span<byte> header, NetFrame frame, ulong number)
    {
        if (options.UsesUdp)
        {
            BinaryPrimitives.WriteUInt32BigEndian(header, Version3);
        }

        Span<byte> cookie = header[(_session + sizeof(uint))..];
        BinaryPrimitives.WriteUInt32BigEndian(header[_session..], options.SendSession);
        if (_cookieLength == sizeof(ulong))
        {
            BinaryPrimitives.WriteUInt64BigEndian(cookie, options.SendCookie!.Value);
        }
        else if (_cookieLength != 0)
        {
            BinaryPrimitives.WriteUInt32BigEndian(cookie, (uint)options.SendCookie!.Value);
        }

        if (options.HasCounter)
        {
            // The first is 1, as of UML.
            BinaryPrimitives.WriteUInt32BigEndian(cookie[_cookieLength..], options.IsCounterPinned ? 0 : (uint)(number + 1) & SequenceMask);
        }
    }

    public override int Read(ReadOnlySpan<byte> header, ReadOnlySpan<byte> extra, NetFrame frame)
    {
        if (options.UsesUdp && (BinaryPrimitives.ReadUInt32BigEndian(header) & ControlBit) != 0)
        {
            return Drop;
        }

        ReadOnlySpan<byte> cookie = header[(_session + sizeof(uint))..];
        bool isOurs = BinaryPrimitives.ReadUInt32BigEndian(header[_session..]) == options.ReceiveSession && _cookieLength switch
        {
            sizeof(ulong) => BinaryPrimitives.ReadUInt64BigEndian(cookie) == options.ReceiveCookie,
            sizeof(uint) => BinaryPrimitives.ReadUInt32BigEndian(cookie) == options.ReceiveCookie,
            _ => true,
        };
        return isOurs ? 0 : Drop;
    }
}
