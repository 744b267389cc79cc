using System.Buffers.Binary;
using System.Text;
using Uml.Net.Packets;

namespace Uml.Net.UserNet.Dhcp;

/// <summary>Kinds of messages (RFC 2132, 9.6).</summary>
internal enum DhcpKind : byte
{
    None = 0,
    Discover = 1,
    Offer = 2,
    Request = 3,
    Decline = 4,
    Ack = 5,
    Nak = 6,
    Release = 7,
    Inform = 8,
}

/// <summary>What a client of DHCP has sent (RFC 2131, 2; options of RFC 2132).</summary>
internal readonly struct DhcpMessage
{
    public const ushort ServerPort = 67, ClientPort = 68;

    /// <summary>Where the options begin: behind the fields of BOOTP and the cookie.</summary>
    public const int OptionsField = 240;

    public const uint Cookie = 0x6382_5363;

    private const byte RequestOperation = 1, EthernetType = 1;
    private const byte PadOption = 0, EndOption = 255, HostNameOption = 12, AddressOption = 50, KindOption = 53, ServerOption = 54;

    public DhcpKind Kind { get; private init; }

    public uint Transaction { get; private init; }

    /// <summary>Whether the client can be answered by broadcast only.</summary>
    public bool WantsBroadcast { get; private init; }

    /// <summary>The address that the client uses; 0 for none.</summary>
    public uint ClientAddress { get; private init; }

    /// <summary>The client's address of Ethernet.</summary>
    public ulong Mac { get; private init; }

    /// <summary>The address that it asks for; 0 for none.</summary>
    public uint RequestedAddress { get; private init; }

    /// <summary>The server that it means; 0 for any.</summary>
    public uint Server { get; private init; }

    /// <summary>Its name, if it is one of a host.</summary>
    public string? HostName { get; private init; }

    /// <summary>Reads a message.</summary>
    /// <returns>False when it is none of a client, or cut off.</returns>
    public static bool TryRead(ReadOnlySpan<byte> bytes, out DhcpMessage message)
    {
        message = default;
        if (bytes.Length < OptionsField || bytes[0] != RequestOperation || bytes[1] != EthernetType || bytes[2] != IpHeader.MacLength
            || BinaryPrimitives.ReadUInt32BigEndian(bytes[(OptionsField - 4)..]) != Cookie)
        {
            return false;
        }

        (DhcpKind kind, uint requested, uint server, string? name) = (DhcpKind.None, 0, 0, null);
        for (ReadOnlySpan<byte> options = bytes[OptionsField..]; options.Length != 0 && options[0] != EndOption;)
        {
            if (options[0] == PadOption)
            {
                options = options[1..];
                continue;
            }

            if (options.Length < 2 || options.Length < 2 + options[1])
            {
                break;
            }

            ReadOnlySpan<byte> value = options.Slice(2, options[1]);
            switch (options[0], value.Length)
            {
                case (KindOption, 1):
                    kind = (DhcpKind)value[0];
                    break;
                case (AddressOption, 4):
                    requested = BinaryPrimitives.ReadUInt32BigEndian(value);
                    break;
                case (ServerOption, 4):
                    server = BinaryPrimitives.ReadUInt32BigEndian(value);
                    break;
                case (HostNameOption, _):
                    name = Encoding.Latin1.GetString(value).TrimEnd('\0').ToLowerInvariant();
                    break;
            }

            options = options[(2 + value.Length)..];
        }

        message = new DhcpMessage
        {
            Kind = kind,
            Transaction = BinaryPrimitives.ReadUInt32BigEndian(bytes[4..]),
            WantsBroadcast = (bytes[10] & 0x80) != 0,
            ClientAddress = BinaryPrimitives.ReadUInt32BigEndian(bytes[12..]),
            Mac = IpHeader.ReadMac(bytes[28..]),
            RequestedAddress = requested,
            Server = server,
            HostName = name,
        };
        return true;
    }
}
