using System.Net;
using System.Threading.Channels;
using Uml.Net.Packets;

namespace Uml.Net.UserNet;

/// <summary>
/// Takes connections that guests make to an address and a port of the network, in the program itself and without a port of the host: what a
/// server's connection listener is made of.
/// </summary>
public sealed class UserNetworkListener : IAsyncDisposable
{
    /// <summary>Connections that may wait to be taken, those that are being made included.</summary>
    private const int Backlog = 128;

    private readonly NetworkStack _stack;
    private readonly InternetEndPoint _endPoint;
    private readonly Channel<UserNetworkStream> _accepted = Channel.CreateUnbounded<UserNetworkStream>();
    private int _waiting;

    internal UserNetworkListener(NetworkStack stack, InternetEndPoint endPoint) => (_stack, _endPoint) = (stack, endPoint);

    /// <summary>Where guests connect to.</summary>
    public IPEndPoint EndPoint => _endPoint.ToIPEndPoint();

    /// <summary>Takes the next connection.</summary>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>Null when the listener, or the network, was disposed.</returns>
    /// <exception cref="OperationCanceledException">The wait was ended.</exception>
    public async ValueTask<UserNetworkStream?> AcceptAsync(CancellationToken cancellationToken = default)
    {
        while (await _accepted.Reader.WaitToReadAsync(cancellationToken).ConfigureAwait(false))
        {
            if (_accepted.Reader.TryRead(out UserNetworkStream? stream))
            {
                Forget();
                return stream;
            }
        }

        return null;
    }

    /// <summary>Refuses connections from now on, and resets those that nobody has taken.</summary>
    public async ValueTask DisposeAsync()
    {
        lock (_stack.Gate)
        {
            End();
            _stack.SetTimer();
        }

        while (_accepted.Reader.TryRead(out UserNetworkStream? stream))
        {
            await stream.DisposeAsync().ConfigureAwait(false);
        }
    }

    internal StreamTcpFlow? TryMake(NetworkStack stack, FlowKey key)
    {
        if (Volatile.Read(ref _waiting) >= Backlog)
        {
            return null;
        }

        Interlocked.Increment(ref _waiting);
        return new StreamTcpFlow(stack, key, this);
    }

    internal void Add(UserNetworkStream stream)
    {
        if (!_accepted.Writer.TryWrite(stream))
        {
            stream.Dispose();
        }
    }

    /// <summary>A connection does not wait any more.</summary>
    internal void Forget() => Interlocked.Decrement(ref _waiting);

    internal void End()
    {
        _stack.Tcp.EndListening(_endPoint);
        _accepted.Writer.TryComplete();
    }
}
