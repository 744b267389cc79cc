using Uml.Net.Frames;

namespace Uml.Net.Transports.Descriptors;

/// <summary>A transport that has one frame in each message of a descriptor.</summary>
internal class DescriptorTransport : INetTransport
{
    private readonly TransportScope _scope;
    private readonly DescriptorSender _sender;
    private readonly DescriptorReceiver _receiver;
    private int _isDisconnected;

    public DescriptorTransport(NetTransportFeatures features, TransportScope scope, DescriptorSender sender, DescriptorReceiver receiver)
    {
        (Features, _scope, _sender, _receiver) = (features, scope, sender, receiver);
        receiver.Ended += Disconnect;
    }

    public NetTransportFeatures Features { get; }

    public bool IsConnected => Volatile.Read(ref _isDisconnected) == 0;

    public event EventHandler? ConnectionChanged;

    public virtual long DroppedFrames => _receiver.Dropped;

    public long LostFrames => _sender.Lost;

    public virtual void AcceptOffloads(NetOffloads offloads) => OffloadRules.Check(offloads, Features.ReceiveOffloads);

    public virtual int Send(ReadOnlySpan<NetFrame> frames) => IsConnected ? _sender.Send(frames) : _sender.Lose(frames.Length);

    /// <summary>Loses frames: there is nobody to send them to.</summary>
    protected int Lose(int count) => _sender.Lose(count);

    public virtual int Receive(ReadOnlySpan<NetFrame> frames) => _receiver.Receive(frames);

    public ValueTask<bool> WaitToSendAsync(CancellationToken cancellationToken = default) => _sender.WaitAsync(cancellationToken);

    public virtual ValueTask<bool> WaitToReceiveAsync(CancellationToken cancellationToken = default) => _receiver.WaitAsync(cancellationToken);

    public ValueTask DisposeAsync()
    {
        _scope.Dispose();
        GC.SuppressFinalize(this);
        return ValueTask.CompletedTask;
    }

    /// <summary>The other end is gone for good.</summary>
    public void Disconnect()
    {
        if (Interlocked.Exchange(ref _isDisconnected, 1) == 0)
        {
            ConnectionChanged?.Invoke(this, EventArgs.Empty);
        }
    }
}
