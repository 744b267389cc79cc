using Uml.Net.Frames;

namespace Uml.Net.InProcess;

/// <summary>
/// A cable with two ends, each an <see cref="INetTransport"/>, in this process. What is sent at one end is received at the other, in order;
/// nothing is lost but what is too long or wrong: a sender waits for room.
/// </summary>
public sealed class NetLink : IAsyncDisposable
{
    private readonly End _first, _second;

    /// <summary>Makes a link.</summary>
    /// <param name="options">What it is like; null for the defaults.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range.</exception>
    public NetLink(NetLinkOptions? options = null)
    {
        options ??= new NetLinkOptions();
        options.Validate();
        _first = new End(options, "0");
        _second = new End(options, "1");
        (_first.Other, _second.Other) = (_second, _first);
    }

    /// <summary>One end. Disposing it pulls the cable out: the other end sees that, and what was sent is received still.</summary>
    public INetTransport First => _first;

    /// <summary>The other end.</summary>
    public INetTransport Second => _second;

    /// <summary>Disposes both ends.</summary>
    public async ValueTask DisposeAsync()
    {
        await _first.DisposeAsync().ConfigureAwait(false);
        await _second.DisposeAsync().ConfigureAwait(false);
    }

    private sealed class End(NetLinkOptions options, string suffix) : INetTransport
    {
        private readonly FrameInbox _inbox = new(options.BufferSize, options.Mtu);
        private int _isDisposed;

        public event EventHandler? ConnectionChanged;

        /// <summary>Set once, before the link is used.</summary>
        public End Other { get; set; } = null!;

        public NetTransportFeatures Features { get; } = InProcessFeatures.Create($"{options.Name}.{suffix}", options.Mtu);

        public bool IsConnected => Volatile.Read(ref _isDisposed) == 0 && Volatile.Read(ref Other._isDisposed) == 0;

        public void AcceptOffloads(NetOffloads offloads) => _inbox.Accept(offloads);

        public int Send(ReadOnlySpan<NetFrame> frames) => IsConnected ? Other._inbox.Deliver(frames) : frames.Length;

        public int Receive(ReadOnlySpan<NetFrame> frames) => _inbox.Receive(frames);

        public ValueTask<bool> WaitToSendAsync(CancellationToken cancellationToken = default) => Other._inbox.HasRoom.WaitAsync(cancellationToken);

        public ValueTask<bool> WaitToReceiveAsync(CancellationToken cancellationToken = default) => _inbox.WaitAsync(cancellationToken);

        public ValueTask DisposeAsync()
        {
            if (Interlocked.Exchange(ref _isDisposed, 1) == 0)
            {
                _inbox.Close();
                Other._inbox.HasRoom.Close();
                Other.ConnectionChanged?.Invoke(Other, EventArgs.Empty);
            }

            return ValueTask.CompletedTask;
        }
    }
}
