using System.Net;
using System.Security.Cryptography.X509Certificates;
using Uml.Storage.Blocks;
using Uml.Storage.Nbd.Protocol;

namespace Uml.Storage.Nbd.Server;

/// <summary>How an NBD server serves.</summary>
public sealed record NbdServerOptions
{
    /// <summary>
    /// Where it listens: this host's loopback address unless set, with port 10809; port 0 for any that is free. A
    /// <see cref="System.Net.Sockets.UnixDomainSocketEndPoint"/> makes a socket that only this user may use, and that is gone with the server.
    /// </summary>
    public EndPoint EndPoint { get; init; } = new IPEndPoint(IPAddress.Loopback, NbdProtocol.DefaultPort);

    /// <summary>What it serves, by different names; at least one.</summary>
    public IReadOnlyList<NbdExport> Exports { get; init; } = [];

    /// <summary>Set for encryption. Without it everyone who reaches the server may read and write.</summary>
    public NbdServerTls? Tls { get; init; }

    /// <summary>Connections at once, 1 to 65536; what comes beyond is closed at once.</summary>
    public int MaximumConnections { get; init; } = 64;

    /// <summary>How long a client may take for its negotiation.</summary>
    public TimeSpan HandshakeTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Bytes that one read or write may have, 65536 to 1 GiB.</summary>
    public int MaximumRequestSize { get; init; } = (int)NbdProtocol.DefaultMaximumBlock;

    /// <summary>Requests of one connection that are carried out at once, 1 to 4096. Their data is at most twice <see cref="MaximumRequestSize"/>.</summary>
    public int MaximumRequests { get; init; } = 64;

    /// <summary>For timeouts.</summary>
    public TimeProvider TimeProvider { get; init; } = TimeProvider.System;

    internal void Validate()
    {
        ArgumentNullException.ThrowIfNull(EndPoint);
        ArgumentOutOfRangeException.ThrowIfLessThan(MaximumConnections, 1, nameof(MaximumConnections));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(MaximumConnections, 1 << 16, nameof(MaximumConnections));
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(HandshakeTimeout, TimeSpan.Zero, nameof(HandshakeTimeout));
        ArgumentOutOfRangeException.ThrowIfLessThan(MaximumRequestSize, 1 << 16, nameof(MaximumRequestSize));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(MaximumRequestSize, 1 << 30, nameof(MaximumRequestSize));
        ArgumentOutOfRangeException.ThrowIfLessThan(MaximumRequests, 1, nameof(MaximumRequests));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(MaximumRequests, 4096, nameof(MaximumRequests));
        if (Exports.Count == 0 || Exports.Select(export => export.Name).Distinct(StringComparer.Ordinal).Count() != Exports.Count)
        {
            throw new ArgumentException($"{Exports.Count} exports are to be served: at least one is needed, and each needs a name of its own.", nameof(Exports));
        }
    }
}

/// <summary>A device that is served. It stays the caller's, who disposes it behind the server.</summary>
public sealed record NbdExport
{
    /// <summary>Describes an export.</summary>
    /// <param name="device">What is served, to all connections.</param>
    /// <param name="name">Its name; empty for the default.</param>
    /// <exception cref="ArgumentException">The name has a NUL, or more than 4096 bytes in UTF-8.</exception>
    public NbdExport(IBlockDevice device, string name = "")
    {
        ArgumentNullException.ThrowIfNull(device);
        (Device, Name) = (device, NbdText.Check(name, nameof(name)));
    }

    /// <summary>What is served.</summary>
    public IBlockDevice Device { get; }

    /// <summary>Its name; empty for the default.</summary>
    public string Name { get; }

    /// <summary>What it is, for people.</summary>
    /// <exception cref="ArgumentException">It has a NUL, or more than 4096 bytes in UTF-8.</exception>
    public string Description
    {
        get;
        init => field = NbdText.Check(value, nameof(Description));
    } = "";

    /// <summary>Whether writes are refused, whatever the device allows.</summary>
    public bool IsReadOnly { get; init; }

    internal bool IsWritable => !IsReadOnly && !Device.IsReadOnly;
}

/// <summary>How a server encrypts.</summary>
/// <param name="Certificate">The server's certificate, with its private key.</param>
public sealed record NbdServerTls(X509Certificate2 Certificate)
{
    /// <summary>Whether clients that do not encrypt are refused.</summary>
    public bool IsRequired { get; init; } = true;

    /// <summary>Certificates of which one has to have signed the client's; null when clients need none.</summary>
    public X509Certificate2Collection? ClientAuthorities { get; init; }
}
