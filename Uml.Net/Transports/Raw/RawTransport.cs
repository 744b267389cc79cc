using System.Runtime.InteropServices;
using Uml.Net.Frames;
using Uml.Net.Transports.Descriptors;

namespace Uml.Net.Transports.Raw;

/// <summary>A packet socket. The host leaves to a receiver what it likes, so what ours does not accept is done here.</summary>
internal sealed class RawTransport(
    NetTransportFeatures features, TransportScope scope, SafeHandle socket, DescriptorSender sender, DescriptorReceiver receiver, bool allowsLoading)
    : DescriptorTransport(features, scope, sender, receiver), INetFilterLoader
{
    private readonly FrameCompleter _completer = new(receiver, NetTransportFeatures.LongestFrame);
    private NetOffloads _accepted;

    public bool AllowsLoading => allowsLoading;

    public override long DroppedFrames => base.DroppedFrames + _completer.Dropped;

    public override void AcceptOffloads(NetOffloads offloads)
    {
        base.AcceptOffloads(offloads);
        _accepted = offloads;
    }

    public override int Receive(ReadOnlySpan<NetFrame> frames) =>
        _accepted == NetOffloads.All && _completer.IsEmpty ? base.Receive(frames) : _completer.Receive(frames, _accepted);

    public override ValueTask<bool> WaitToReceiveAsync(CancellationToken cancellationToken = default) =>
        _completer.IsEmpty ? base.WaitToReceiveAsync(cancellationToken) : ValueTask.FromResult(true);

    public void LoadFilter(ReadOnlySpan<byte> program)
    {
        if (!allowsLoading)
        {
            throw new InvalidOperationException("The guest may not load a filter: the host program has to allow it (bpfflash=1).");
        }

        if (!program.IsEmpty)
        {
            ClassicBpf.Check(program);
        }

        PacketSocket.Attach(socket, program);
    }
}
