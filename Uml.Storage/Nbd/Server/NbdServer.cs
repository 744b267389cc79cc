using System.Net;
using System.Net.Sockets;
using System.Runtime.ExceptionServices;
using Uml.Storage.Blocks;

namespace Uml.Storage.Nbd.Server;

/// <summary>An NBD server (doc/proto.md of NetworkBlockDevice/nbd) that serves block devices to any number of clients.</summary>
/// <remarks>
/// <para>
/// A request has to be in whole blocks of the device (<see cref="BlockLimits.LogicalBlockSize"/>, which the handshake says); others are answered with
/// EINVAL: reading and writing around them could undo a write of another client.
/// </para>
/// <para>
/// Clients are not trusted: what they can take of memory is bounded by the options, one that is slow holds up no other, and one that breaks the
/// protocol is disconnected.
/// </para>
/// </remarks>
public sealed class NbdServer : IAsyncDisposable
{
    /// <summary>rw------- (0600).</summary>
    private const UnixFileMode SocketMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>A failure to accept that is not the client's, such as too many open files, passes; until then it is not tried all the time.</summary>
    private static readonly TimeSpan AcceptDelay = TimeSpan.FromMilliseconds(100);

    private readonly NbdServerOptions _options;
    private readonly Socket _listener;
    private readonly string? _socketPath;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _lock = new();
    private readonly HashSet<Task> _connections = [];
    private readonly Task _accept;
    private Exception? _defect;
    private int _isDisposed;

    private NbdServer(NbdServerOptions options, Socket listener)
    {
        (_options, _listener) = (options, listener);
        _socketPath = listener.LocalEndPoint is UnixDomainSocketEndPoint unix ? unix.ToString() : null;
        EndPoint = listener.LocalEndPoint!;
        _accept = AcceptAsync();
    }

    /// <summary>Where it listens; with the port that was chosen.</summary>
    public EndPoint EndPoint { get; }

    /// <summary>Connections that there are.</summary>
    public int ConnectionCount
    {
        get
        {
            lock (_lock)
            {
                return _connections.Count;
            }
        }
    }

    /// <summary>Starts a server.</summary>
    /// <param name="options">What it serves, where and how.</param>
    /// <exception cref="ArgumentException">An option is out of its range; the message says which.</exception>
    /// <exception cref="DiskImageException">It cannot listen there: the address is in use or not this host's, or the socket cannot be made.</exception>
    public static NbdServer Start(NbdServerOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        bool isUnix = options.EndPoint.AddressFamily == AddressFamily.Unix;
        Socket listener = new(options.EndPoint.AddressFamily, SocketType.Stream, isUnix ? ProtocolType.Unspecified : ProtocolType.Tcp);
        try
        {
            listener.Bind(options.EndPoint);
            if (isUnix && !OperatingSystem.IsWindows())
            {
                // Before anyone can connect, which is possible when it listens.
                File.SetUnixFileMode(options.EndPoint.ToString()!, SocketMode);
            }

            listener.Listen();
            return new NbdServer(options, listener);
        }
        catch (Exception e) when (e is SocketException or IOException or UnauthorizedAccessException)
        {
            listener.Dispose();
            throw new DiskImageException($"An NBD server cannot listen at {options.EndPoint}: {e.Message}. Choose another address, or end what uses this one.", e);
        }
    }

    /// <summary>
    /// Carries out what clients have asked for, disconnects them, and stops listening. When a connection was ended by a defect, of a device or of the
    /// server, and by nothing that a client can do, the first such exception is thrown then.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) != 0)
        {
            return;
        }

        await _stop.CancelAsync().ConfigureAwait(false);
        _listener.Dispose();
        await _accept.ConfigureAwait(false);
        Task[] connections;
        lock (_lock)
        {
            connections = [.. _connections];
        }

        await Task.WhenAll(connections).ConfigureAwait(false);
        if (_socketPath is not null)
        {
            File.Delete(_socketPath);
        }

        _stop.Dispose();
        if (_defect is not null)
        {
            ExceptionDispatchInfo.Throw(_defect);
        }
    }

    private async Task AcceptAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                Add(await _listener.AcceptAsync(_stop.Token).ConfigureAwait(false));
            }
            catch (SocketException) when (!_stop.IsCancellationRequested)
            {
                // The client is gone already, or the host has no room for it; the next one may be luckier.
                await Task.Delay(AcceptDelay, _options.TimeProvider).ConfigureAwait(false);
            }
            catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException or SocketException)
            {
                return;
            }
        }
    }

    private void Add(Socket socket)
    {
        lock (_lock)
        {
            if (_connections.Count >= _options.MaximumConnections)
            {
                socket.Dispose();
                return;
            }

            if (socket.AddressFamily != AddressFamily.Unix)
            {
                socket.NoDelay = true;
            }

            NbdServerConnection connection = new(_options, new NetworkStream(socket, ownsSocket: true));
            Task run = Task.Run(() => ServeAsync(connection));
            _connections.Add(run);
            _ = run.ContinueWith(Remove, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        }
    }

    private async Task ServeAsync(NbdServerConnection connection)
    {
        try
        {
            await connection.RunAsync(_stop.Token).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            lock (_lock)
            {
                _defect ??= e;
            }
        }
    }

    private void Remove(Task connection)
    {
        lock (_lock)
        {
            _connections.Remove(connection);
        }
    }
}
