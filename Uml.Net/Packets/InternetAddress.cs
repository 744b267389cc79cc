using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace Uml.Net.Packets;

/// <summary>An address of IPv4 or IPv6 as a number, which keys of tables are made of. One of IPv4 is kept as IPv6 maps it (RFC 4291, 2.5.5.2).</summary>
/// <param name="High">The first eight bytes.</param>
/// <param name="Low">The last eight bytes.</param>
internal readonly record struct InternetAddress(ulong High, ulong Low)
{
    public const int Length4 = 4, Length6 = 16;

    private const ulong MappedPrefix = 0xFFFF_0000_0000;

    /// <summary>An address of IPv4.</summary>
    public InternetAddress(uint address)
        : this(0, MappedPrefix | address)
    {
    }

    public bool IsIp4 => High == 0 && Low >> 32 == MappedPrefix >> 32;

    /// <summary>The number of an address of IPv4.</summary>
    public uint Value4 => (uint)Low;

    /// <summary>Whether nobody is meant (RFC 4291, 2.5.2; RFC 1122, 3.2.1.3).</summary>
    public bool IsUnspecified => (High, Low) is (0, 0) or (0, MappedPrefix);

    /// <summary>Whether several are meant: multicast, and broadcast of IPv4.</summary>
    public bool IsMulticast => IsIp4 ? Value4 >> 28 == 0xE || Value4 == uint.MaxValue : High >> 56 == 0xFF;

    /// <summary>Whether it means something on one link only (RFC 3927; RFC 4291, 2.5.6).</summary>
    public bool IsLinkLocal => IsIp4 ? Value4 >> 16 == 0xA9FE : High >> 54 == 0xFE80 >> 6;

    public static InternetAddress Read4(ReadOnlySpan<byte> bytes) => new(BinaryPrimitives.ReadUInt32BigEndian(bytes));

    public static InternetAddress Read6(ReadOnlySpan<byte> bytes) => new(BinaryPrimitives.ReadUInt64BigEndian(bytes), BinaryPrimitives.ReadUInt64BigEndian(bytes[8..]));

    public static InternetAddress From(IPAddress address)
    {
        Span<byte> bytes = stackalloc byte[Length6];
        _ = address.TryWriteBytes(bytes, out int length);
        return length == Length4 ? Read4(bytes) : Read6(bytes);
    }

    /// <summary>Writes 4 or 16 bytes.</summary>
    /// <returns>How many.</returns>
    public int Write(Span<byte> bytes)
    {
        if (IsIp4)
        {
            BinaryPrimitives.WriteUInt32BigEndian(bytes, Value4);
            return Length4;
        }

        BinaryPrimitives.WriteUInt64BigEndian(bytes, High);
        BinaryPrimitives.WriteUInt64BigEndian(bytes[8..], Low);
        return Length6;
    }

    public IPAddress ToIPAddress()
    {
        Span<byte> bytes = stackalloc byte[Length6];
        return new IPAddress(bytes[..Write(bytes)]);
    }

    public AddressFamily Family => IsIp4 ? AddressFamily.InterNetwork : AddressFamily.InterNetworkV6;

    public override string ToString() => ToIPAddress().ToString();
}

/// <summary>An address and a port of TCP or UDP.</summary>
internal readonly record struct InternetEndPoint(InternetAddress Address, ushort Port)
{
    public static InternetEndPoint From(IPEndPoint endPoint)
    {
        // A socket for both families tells addresses of IPv4 as mapped ones, which are the same here.
        return new(InternetAddress.From(endPoint.Address), (ushort)endPoint.Port);
    }

    public IPEndPoint ToIPEndPoint() => new(Address.ToIPAddress(), Port);

    public override string ToString() => ToIPEndPoint().ToString();
}
