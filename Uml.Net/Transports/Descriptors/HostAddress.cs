using System.Net;
using System.Net.Sockets;
using System.Text;
using Uml.Net.Frames;

namespace Uml.Net.Transports.Descriptors;

/// <summary>Addresses of sockets as the host has them (sockaddr_un, sockaddr_in, sockaddr_in6).</summary>
internal static class HostAddress
{
    /// <summary>sizeof(struct sockaddr_un), and bytes of the path in it.</summary>
    public const int UnixLength = 110, MaximumPath = 107;

    /// <summary>sizeof(struct sockaddr_in).</summary>
    private const int Ip4Length = 16;

    /// <summary>The address of a socket in the file system, or, where the path begins with '@', of an abstract one (unix(7)).</summary>
    /// <exception cref="NetTransportException">The path is too long.</exception>
    public static byte[] Unix(string path)
    {
        int length = Encoding.UTF8.GetByteCount(path);
        if (length is 0 or > MaximumPath || path.Contains('\0'))
        {
            throw new NetTransportException(
                $"The path of a socket has 1 to {MaximumPath} bytes, none of them zero, and '{path}' has {length}: use a shorter one, such as one below /tmp.");
        }

        byte[] address = new byte[sizeof(ushort) + length + (path[0] == '@' ? 0 : 1)];
        address[0] = (byte)Interop.Socket.FamilyUnix;
        Encoding.UTF8.GetBytes(path, address.AsSpan(sizeof(ushort)));
        if (path[0] == '@')
        {
            address[sizeof(ushort)] = 0;
        }

        return address;
    }

    /// <summary>Finds the address of a host.</summary>
    /// <param name="host">An address, or a name.</param>
    /// <param name="isIp6">The version of IP; null for that of the address.</param>
    /// <exception cref="NetTransportException">There is none of this version.</exception>
    public static IPAddress Resolve(string host, bool? isIp6)
    {
        IPAddress[] found;
        try
        {
            found = IPAddress.TryParse(host, out IPAddress? given) ? [given] : Dns.GetHostAddresses(host);
        }
        catch (SocketException exception)
        {
            throw new NetTransportException($"The host '{host}' is not known ({exception.Message}): check its name, or give its address.", exception);
        }

        AddressFamily? wanted = isIp6 switch { null => null, true => AddressFamily.InterNetworkV6, false => AddressFamily.InterNetwork };
        return Array.Find(found, address => wanted is null ? address.AddressFamily is AddressFamily.InterNetwork or AddressFamily.InterNetworkV6 : address.AddressFamily == wanted)
            ?? throw new NetTransportException($"'{host}' is no address of IPv{(isIp6 == true ? 6 : 4)}: give another address, or change the option v6.");
    }

    public static byte[] Ip(IPAddress address, int port) => Encode(new IPEndPoint(address, port));

    public static byte[] Encode(EndPoint endPoint)
    {
        SocketAddress address = endPoint.Serialize();
        return address.Buffer.Span[..address.Size].ToArray();
    }

    /// <summary>Whether two addresses are of one host; their ports do not count.</summary>
    public static bool IsSameHost(ReadOnlySpan<byte> first, ReadOnlySpan<byte> second)
    {
        // Behind the family and the port; that of IPv6 has its flow before, and the scope behind.
        (int start, int length) = second.Length == Ip4Length ? (4, 4) : (8, 16);
        return first.Length == second.Length && first.Slice(start, length).SequenceEqual(second.Slice(start, length));
    }

    public static int Family(IPAddress address) =>
        address.AddressFamily == AddressFamily.InterNetworkV6 ? Interop.Socket.FamilyIp6 : Interop.Socket.FamilyIp4;
}
