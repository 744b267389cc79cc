using System.Net;
using Uml.Net.Frames;

namespace Uml.Net.Transports.Descriptors;

/// <summary>Where a socket is: a path of the file system, or a host and a port.</summary>
internal readonly record struct SocketPlace(int Family, byte[] Address, string Text, bool IsMulticast)
{
    public bool IsPath => Family == Interop.Socket.FamilyUnix;

    /// <param name="place">A path where there is no port, else a host's address or name.</param>
    /// <param name="port">The port.</param>
    /// <param name="isIp6">The version of IP; null for that of the address.</param>
    /// <exception cref="NetTransportException">There is no such place.</exception>
    public static SocketPlace Find(string place, int? port, bool? isIp6 = null)
    {
        if (port is null)
        {
            return new SocketPlace(Interop.Socket.FamilyUnix, HostAddress.Unix(place), $"'{place}'", IsMulticast: false);
        }

        IPAddress address = HostAddress.Resolve(place, isIp6);
        bool isMulticast = address.IsIPv6Multicast || (HostAddress.Family(address) == Interop.Socket.FamilyIp4 && address.GetAddressBytes()[0] is >= 224 and < 240);
        return new SocketPlace(HostAddress.Family(address), HostAddress.Ip(address, port.Value), $"{new IPEndPoint(address, port.Value)}", isMulticast);
    }

    public static void ValidatePort(int? port, int minimum, string name)
    {
        if (port is { } given)
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(given, minimum, name);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(given, IPEndPoint.MaxPort, name);
        }
    }
}
