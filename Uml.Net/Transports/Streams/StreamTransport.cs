using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Uml.Net.Frames;
using Uml.Net.Interop;
using Uml.Net.Polling;
using Uml.Net.Transports.Descriptors;

namespace Uml.Net.Transports.Streams;

/// <summary>Frames in a stream, of a connection that we make, or of one after the other that others make with us.</summary>
// SAFETY: accept is told of no memory.
internal sealed class StreamTransport(NetTransportFeatures features, TransportScope scope, StreamFraming framing, int depth) : INetTransport
{
    private readonly Lock _lock = new();
    private readonly NetSignal _readable = new(continueInline: true), _writable = new(continueInline: true);
    private StreamConnection? _connection;
    private long _dropped, _lost;
    private bool _isDisposed;

    public NetTransportFeatures Features => features;

    public bool IsConnected => Volatile.Read(ref _connection) is not null;

    public event EventHandler? ConnectionChanged;

    public long DroppedFrames => Volatile.Read(ref _dropped) + (Volatile.Read(ref _connection)?.Dropped ?? 0);

    public long LostFrames => Volatile.Read(ref _lost) + (Volatile.Read(ref _connection)?.Lost ?? 0);

    /// <summary>Begins with a connection, which is the transport's from now on.</summary>
    /// <exception cref="NetTransportException">The host cannot wait for it.</exception>
    public void Connect(SafeFileHandle socket)
    {
        StreamConnection connection;
        lock (_lock)
        {
            if (_isDisposed)
            {
                socket.Dispose();
                return;
            }

            connection = new StreamConnection(scope.Poller.Add(socket), framing, depth);
            Volatile.Write(ref _connection, connection);
        }

        _ = ForwardAsync(connection.Polled.Readable, _readable, static () => { });
        _ = ForwardAsync(connection.Polled.Writable, _writable, connection.OnWritable);
        ConnectionChanged?.Invoke(this, EventArgs.Empty);
    }

    /// <summary>Takes connections, one at a time.</summary>
    public void Listen(PolledDescriptor listener, Action<SafeFileHandle> prepare) => _ = AcceptAsync(listener, prepare);

    public int Send(ReadOnlySpan<NetFrame> frames)
    {
        StreamConnection? connection = Volatile.Read(ref _connection);
        int sent = -1;
        try
        {
            sent = connection?.Send(frames) ?? -1;
        }
        catch (ObjectDisposedException) when (!IsDisposed)
        {
            // The receiver has found the other end gone, and closed the connection.
        }

        if (sent >= 0)
        {
            return sent;
        }

        End(connection);
        Interlocked.Add(ref _lost, frames.Length);
        return frames.Length;
    }

    public int Receive(ReadOnlySpan<NetFrame> frames)
    {
        StreamConnection? connection = Volatile.Read(ref _connection);
        int received = -1;
        try
        {
            received = connection?.Receive(frames) ?? -1;
        }
        catch (ObjectDisposedException) when (!IsDisposed)
        {
            // The sender has found the other end gone, and closed the connection.
        }

        if (received >= 0)
        {
            return received;
        }

        End(connection);
        return 0;
    }

    public ValueTask<bool> WaitToSendAsync(CancellationToken cancellationToken = default) =>
        _writable.WaitAsync(Volatile.Read(ref _connection)?.IsFull ?? false, cancellationToken);

    public ValueTask<bool> WaitToReceiveAsync(CancellationToken cancellationToken = default) =>
        _readable.WaitAsync(Volatile.Read(ref _connection)?.IsDrained ?? true, cancellationToken);

    public ValueTask DisposeAsync()
    {
        StreamConnection? connection;
        lock (_lock)
        {
            _isDisposed = true;
            connection = _connection;
        }

        Close(connection);
        scope.Dispose();
        _readable.Close();
        _writable.Close();
        return ValueTask.CompletedTask;
    }

    private bool IsDisposed
    {
        get
        {
            lock (_lock)
            {
                return _isDisposed;
            }
        }
    }

    private static async Task ForwardAsync(NetSignal source, NetSignal destination, Action before)
    {
        while (await source.WaitAsync(CancellationToken.None).ConfigureAwait(false))
        {
            before();
            destination.Set();
        }
    }

    private static void Close(StreamConnection? connection)
    {
        connection?.Polled.Dispose();
        connection?.Polled.Descriptor.Dispose();
    }

    private void End(StreamConnection? connection)
    {
        if (connection is null || Interlocked.CompareExchange(ref _connection, null, connection) != connection)
        {
            return;
        }

        Interlocked.Add(ref _dropped, connection.Dropped);
        Interlocked.Add(ref _lost, connection.Lost);
        Close(connection);
        ConnectionChanged?.Invoke(this, EventArgs.Empty);
    }

    private async Task AcceptAsync(PolledDescriptor listener, Action<SafeFileHandle> prepare)
    {
        while (await listener.Readable.WaitAsync(CancellationToken.None).ConfigureAwait(false))
        {
            while (TryAccept(listener.Descriptor, out SafeFileHandle connection))
            {
                try
                {
                    if (IsConnected)
                    {
                        connection.Dispose();
                        continue;
                    }

                    prepare(connection);
                    Connect(connection);
                }
                catch (NetTransportException)
                {
                    // The host has no memory left to wait for it: who has connected sees it closed, and may try again.
                    connection.Dispose();
                }

                _readable.Set();
                _writable.Set();
            }
        }
    }

    private unsafe bool TryAccept(SafeHandle listener, out SafeFileHandle connection)
    {
        lock (_lock)
        {
            int descriptor = _isDisposed ? -1 : Socket.Accept(listener, address: null, length: null, Socket.NonBlocking | Socket.CloseOnExec);
            connection = new SafeFileHandle(descriptor, ownsHandle: true);
            return !connection.IsInvalid;
        }
    }
}
