using System.Net;
using System.Net.Sockets;
using Uml.Storage.Blocks;
using Uml.Storage.Nbd.Protocol;

namespace Uml.Storage.Nbd.Client;

/// <summary>An export of an NBD server: where the server is, and the export's name.</summary>
public sealed record NbdEndPoint
{
    private NbdEndPoint(EndPoint address, string export, bool requiresTls) => (Address, Export, RequiresTls) = (address, export, requiresTls);

    /// <summary>The server: a <see cref="DnsEndPoint"/>, <see cref="IPEndPoint"/> or <see cref="UnixDomainSocketEndPoint"/>.</summary>
    public EndPoint Address { get; }

    /// <summary>The export; empty for the server's default.</summary>
    public string Export { get; }

    /// <summary>Whether the connection has to be encrypted. It is also when <see cref="NbdClientOptions.Tls"/> is set.</summary>
    public bool RequiresTls { get; init; }

    /// <summary>The name that the server's certificate has to have; null for the host's name.</summary>
    public string? TlsHostName { get; init; }

    /// <summary>A server on the network.</summary>
    /// <param name="host">Its name or address.</param>
    /// <param name="port">Its port, 1 to 65535.</param>
    /// <param name="export">The export; empty for the server's default.</param>
    public static NbdEndPoint Tcp(string host, int port = NbdProtocol.DefaultPort, string export = "")
    {
        ArgumentException.ThrowIfNullOrEmpty(host);
        ArgumentOutOfRangeException.ThrowIfLessThan(port, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(port, ushort.MaxValue);
        return new(IPAddress.TryParse(host, out IPAddress? address) ? new IPEndPoint(address, port) : new DnsEndPoint(host, port), export, false);
    }

    /// <summary>A server on this host.</summary>
    /// <param name="path">Its socket.</param>
    /// <param name="export">The export; empty for the server's default.</param>
    public static NbdEndPoint Unix(string path, string export = "")
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return new(new UnixDomainSocketEndPoint(path), export, false);
    }

    /// <summary>
    /// Reads an NBD URI (doc/uri.md of NetworkBlockDevice/nbd): <c>nbd://host:port/export</c>, <c>nbds://host/export</c>,
    /// <c>nbd+unix:///export?socket=path</c> or <c>nbds+unix:///export?socket=path</c>, and <c>tls-hostname</c>.
    /// </summary>
    /// <exception cref="DiskImageException">It is none, or asks for what there is not; the message says what.</exception>
    public static NbdEndPoint Parse(Uri uri)
    {
        ArgumentNullException.ThrowIfNull(uri);
        if (!uri.IsAbsoluteUri || uri.Scheme is not ("nbd" or "nbds" or "nbd+unix" or "nbds+unix"))
        {
            throw new DiskImageException($"'{uri}' is no URI of an NBD server: it begins with nbd://, nbds://, nbd+unix:/// or nbds+unix:///.");
        }

        if (uri.UserInfo.Length > 0 || uri.Fragment.Length > 0)
        {
            throw new DiskImageException($"'{uri}' has a user's name or a fragment, which are not supported: leave them out.");
        }

        (string? socket, string? tlsHostName) = ReadQuery(uri);
        bool isUnix = uri.Scheme.EndsWith("+unix", StringComparison.Ordinal);
        if (isUnix != socket is not null || isUnix != (uri.Host.Length == 0))
        {
            throw new DiskImageException(isUnix
                ? $"'{uri}' has to be nbd+unix:///export?socket=path, with a socket and without a host."
                : $"'{uri}' has to be nbd://host:port/export, with a host and without a socket.");
        }

        string export = Uri.UnescapeDataString(uri.AbsolutePath.StartsWith('/') ? uri.AbsolutePath[1..] : uri.AbsolutePath);
        NbdEndPoint end = isUnix ? Unix(socket!, export) : Tcp(uri.IdnHost, uri.Port > 0 ? uri.Port : NbdProtocol.DefaultPort, export);
        return end with { RequiresTls = uri.Scheme.StartsWith("nbds", StringComparison.Ordinal), TlsHostName = tlsHostName };
    }

    /// <summary>The server and the export, for messages.</summary>
    public override string ToString() => Export.Length == 0 ? $"the NBD server at {Address}" : $"the export '{Export}' of the NBD server at {Address}";

    private static (string? Socket, string? TlsHostName) ReadQuery(Uri uri)
    {
        (string? Socket, string? TlsHostName) found = default;
        foreach (string parameter in uri.Query.TrimStart('?').Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            string[] parts = parameter.Split('=', 2);
            string value = Uri.UnescapeDataString(parts[^1]);
            switch (parts[0])
            {
                case "socket" when parts.Length == 2 && value.Length > 0: found.Socket = value; break;
                case "tls-hostname" when parts.Length == 2 && value.Length > 0: found.TlsHostName = value; break;
                case "tls-type" when value == "x509": break;
                default: throw new DiskImageException($"'{uri}' has the parameter '{parameter}', which is not supported: leave it out.");
            }
        }

        return found;
    }
}
