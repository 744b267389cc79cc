namespace Uml.Net.Frames;

/// <summary>
/// Moves Ethernet frames between whoever holds it, a card or a benchmark, and another end: a device of the host, a socket, a switch in this
/// process.
/// </summary>
/// <remarks>
/// One caller at a time sends, and one at a time receives; both may be at work at once. No call waits, but for those that say so. In steady
/// state none allocates.
/// </remarks>
public interface INetTransport : IAsyncDisposable
{
    /// <summary>What it is and can do. Does not change.</summary>
    NetTransportFeatures Features { get; }

    /// <summary>Whether there is another end: a cable is plugged in.</summary>
    bool IsConnected => true;

    /// <summary><see cref="IsConnected"/> has changed. Raised on any thread.</summary>
    event EventHandler? ConnectionChanged
    {
        add { }
        remove { }
    }

    /// <summary>Frames that came and were dropped: malformed, from nobody who may send them, or longer than their room.</summary>
    long DroppedFrames => 0;

    /// <summary>Frames that were sent and lost: the host had no memory or no way for them, or there was no other end.</summary>
    long LostFrames => 0;

    /// <summary>Says what may be left to do for frames that are received; none before the first call.</summary>
    /// <param name="offloads">Some of <see cref="NetTransportFeatures.ReceiveOffloads"/>.</param>
    /// <exception cref="ArgumentException">They are not all among them, or some need others that are missing.</exception>
    void AcceptOffloads(NetOffloads offloads)
    {
        if (offloads != NetOffloads.None)
        {
            throw new ArgumentException($"This transport completes every frame; it cannot leave {offloads} to its receiver.", nameof(offloads));
        }
    }

    /// <summary>Sends frames, in order, as many as there is room for.</summary>
    /// <param name="frames">The frames, none longer than <see cref="NetTransportFeatures.MaximumFrameLength"/>, and with no more left to do than <see cref="NetTransportFeatures.SendOffloads"/>.</param>
    /// <returns>How many were sent, or lost where networks lose them. When it is not all, <see cref="WaitToSendAsync"/>.</returns>
    /// <exception cref="NetTransportException">The transport has failed, and will not work again.</exception>
    int Send(ReadOnlySpan<NetFrame> frames);

    /// <summary>Receives the frames that are there, in order.</summary>
    /// <param name="frames">Room, of which each takes one frame. A frame that is longer than its room is lost.</param>
    /// <returns>How many were received: the first ones.</returns>
    /// <exception cref="NetTransportException">The transport has failed, and will not work again.</exception>
    int Receive(ReadOnlySpan<NetFrame> frames);

    /// <summary>Waits until <see cref="Send"/> may have room again.</summary>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>False once the transport is closed.</returns>
    /// <exception cref="OperationCanceledException">The wait was ended.</exception>
    ValueTask<bool> WaitToSendAsync(CancellationToken cancellationToken = default);

    /// <summary>Waits until <see cref="Receive"/> may find something.</summary>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>False once the transport is closed.</returns>
    /// <exception cref="OperationCanceledException">The wait was ended.</exception>
    ValueTask<bool> WaitToReceiveAsync(CancellationToken cancellationToken = default);
}
