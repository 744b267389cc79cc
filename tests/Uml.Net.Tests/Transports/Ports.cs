using System.Net;
using System.Net.Sockets;

namespace Uml.Net.Tests.Transports;

/// <summary>Ports that nobody has now, of TCP and of UDP.</summary>
internal static class Ports
{
    public static int Take()
    {
        while (true)
        {
            using Socket datagrams = new(SocketType.Dgram, ProtocolType.Udp), stream = new(SocketType.Stream, ProtocolType.Tcp);
            datagrams.Bind(new IPEndPoint(IPAddress.IPv6Any, 0));
            int port = ((IPEndPoint)datagrams.LocalEndPoint!).Port;
            try
            {
                stream.Bind(new IPEndPoint(IPAddress.IPv6Any, port));
                return port;
            }
            catch (SocketException)
            {
                // Taken on TCP: another one.
            }
        }
    }
}
