using System.Runtime.InteropServices;
using Uml.Net.Frames;
using Uml.Net.Interop;
using Uml.Net.Transports.Descriptors;

namespace Uml.Net.Transports.Datagrams;

/// <summary>
/// Datagrams between Unix sockets. Only a connected one is told when its peer has room again, and a peer can be connected with only while it is there:
/// so each call tries until it succeeds, and frames are lost meanwhile.
/// </summary>
internal sealed class PathDatagramTransport : DescriptorTransport
{
    private readonly SafeHandle _socket;
    private readonly byte[] _peer;
    private bool _hasPeer;

    public PathDatagramTransport(
        NetTransportFeatures features, TransportScope scope, DescriptorSender sender, DescriptorReceiver receiver, SafeHandle socket, byte[] peer)
        : base(features, scope, sender, receiver)
    {
        (_socket, _peer) = (socket, peer);
        sender.Refused += () => _hasPeer = false;
    }

    public override int Send(ReadOnlySpan<NetFrame> frames)
    {
        _hasPeer = _hasPeer || Socket.Connect(_socket, _peer, _peer.Length) == 0;
        return _hasPeer ? base.Send(frames) : Lose(frames.Length);
    }
}
