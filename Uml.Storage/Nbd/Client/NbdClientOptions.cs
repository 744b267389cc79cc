using System.Security.Cryptography.X509Certificates;

namespace Uml.Storage.Nbd.Client;

/// <summary>How an export of an NBD server is used.</summary>
public sealed record NbdClientOptions
{
    /// <summary>Whether writes are refused, whatever the server allows.</summary>
    public bool IsReadOnly { get; init; }

    /// <summary>Whether every write is durable when it has ended (NBD_CMD_FLAG_FUA, or a flush behind each where the server has no such flag).</summary>
    public bool IsSynchronous { get; init; }

    /// <summary>What is trusted and shown when the connection is encrypted. When it is set, a server that does not encrypt is refused.</summary>
    public NbdClientTls? Tls { get; init; }

    /// <summary>How long a connection and its negotiation may take.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// How long requests wait for a connection that was lost; zero to give up at once and for good. Requests that have waited so long fail, and later
    /// ones too, until the server is back.
    /// </summary>
    public TimeSpan ReconnectTimeout { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>The delay before the second attempt to connect again; it doubles with each, up to 5 seconds.</summary>
    public TimeSpan ReconnectDelay { get; init; } = TimeSpan.FromMilliseconds(100);

    /// <summary>Requests on the way to the server at once, 1 to 4096. Others wait for their turn.</summary>
    public int MaximumRequests { get; init; } = 128;

    /// <summary>
    /// Bytes, 65536 to 1 GiB, of writes that the server has acknowledged and was not yet asked to flush. They are written again when the server comes
    /// back, which may have crashed and lost them. The device flushes by itself when they become more. No memory is taken when
    /// <see cref="ReconnectTimeout"/> is zero.
    /// </summary>
    public int ReplayBufferSize { get; init; } = 16 << 20;

    /// <summary>For delays and timeouts.</summary>
    public TimeProvider TimeProvider { get; init; } = TimeProvider.System;

    internal void Validate()
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(ConnectTimeout, TimeSpan.Zero, nameof(ConnectTimeout));
        ArgumentOutOfRangeException.ThrowIfLessThan(ReconnectTimeout, TimeSpan.Zero, nameof(ReconnectTimeout));
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(ReconnectDelay, TimeSpan.Zero, nameof(ReconnectDelay));
        ArgumentOutOfRangeException.ThrowIfLessThan(MaximumRequests, 1, nameof(MaximumRequests));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(MaximumRequests, 4096, nameof(MaximumRequests));
        ArgumentOutOfRangeException.ThrowIfLessThan(ReplayBufferSize, 1 << 16, nameof(ReplayBufferSize));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(ReplayBufferSize, 1 << 30, nameof(ReplayBufferSize));
    }
}

/// <summary>What a client trusts and shows when its connection is encrypted.</summary>
public sealed record NbdClientTls
{
    /// <summary>
    /// Certificates of which one has to have signed the server's, as of <see cref="X509Certificate2Collection.ImportFromPemFile"/>; null for those
    /// that the host trusts.
    /// </summary>
    public X509Certificate2Collection? Authorities { get; init; }

    /// <summary>The certificate, with its private key, that is shown to the server; null for none.</summary>
    public X509Certificate2? Certificate { get; init; }
}
