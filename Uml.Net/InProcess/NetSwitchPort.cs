using System.Collections;
using Uml.Net.Frames;

namespace Uml.Net.InProcess;

/// <summary>One end of a cable whose other end is at a <see cref="NetSwitch"/>.</summary>
public sealed class NetSwitchPort : INetTransport
{
    private const int VlanCount = 4096;

    private readonly NetSwitch _switch;
    private readonly int _vlan;

    /// <summary>VLANs with a tag; null for all.</summary>
    private readonly BitArray? _tagged;
    private int _isDisposed;

    internal NetSwitchPort(NetSwitch netSwitch, int number, string name, NetSwitchPortOptions options)
    {
        _switch = netSwitch;
        _vlan = options.Vlan;
        (Number, IsMirror) = (number, options.IsMirror);
        Inbox = new FrameInbox(options.BufferSize, options.Mtu);
        Features = InProcessFeatures.Create(name, options.Mtu);
        if (options.TaggedVlans is { } tagged)
        {
            _tagged = new BitArray(VlanCount);
            foreach (int vlan in tagged)
            {
                _tagged[vlan] = true;
            }
        }
    }

    /// <inheritdoc/>
    public NetTransportFeatures Features { get; }

    /// <inheritdoc/>
    public bool IsConnected => Volatile.Read(ref _isDisposed) == 0;

    /// <summary>Frames for this port that were lost: there was no room, or they were wrong or too long.</summary>
    public long LostFrames => Inbox.Lost;

    internal int Number { get; }

    internal bool IsMirror { get; }

    internal FrameInbox Inbox { get; }

    /// <summary>For frames that come in here; one is sent at a time.</summary>
    internal VlanTag Tag { get; } = new();

    /// <inheritdoc/>
    public void AcceptOffloads(NetOffloads offloads) => Inbox.Accept(offloads);

    /// <inheritdoc/>
    public int Send(ReadOnlySpan<NetFrame> frames)
    {
        if (IsConnected && !IsMirror)
        {
            _switch.Forward(this, frames);
        }

        return frames.Length;
    }

    /// <inheritdoc/>
    public int Receive(ReadOnlySpan<NetFrame> frames) => Inbox.Receive(frames);

    /// <inheritdoc/>
    public ValueTask<bool> WaitToSendAsync(CancellationToken cancellationToken = default) =>
        cancellationToken.IsCancellationRequested ? ValueTask.FromCanceled<bool>(cancellationToken) : new ValueTask<bool>(IsConnected);

    /// <inheritdoc/>
    public ValueTask<bool> WaitToReceiveAsync(CancellationToken cancellationToken = default) => Inbox.WaitAsync(cancellationToken);

    /// <summary>Pulls the cable out.</summary>
    public ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) == 0)
        {
            _switch.Remove(this);
            Inbox.Close();
        }

        return ValueTask.CompletedTask;
    }

    /// <summary>The VLAN of a frame that comes in.</summary>
    /// <param name="tag">The VLAN in its tag; -1 for none.</param>
    /// <returns>-1 when it may not come in.</returns>
    internal int VlanOf(int tag) => tag switch
    {
        // A tag of VLAN 0 has a priority only (IEEE 802.1Q, 9.6).
        <= 0 => _vlan == 0 ? -1 : _vlan,
        _ when tag == _vlan => _vlan,
        _ => HasTagged(tag) ? tag : -1,
    };

    /// <summary>Gives frames of one VLAN out, if the port is part of it.</summary>
    internal void Deliver(VlanTag tag, NetSwitch.Route route, ReadOnlySpan<NetFrame> frames)
    {
        bool isUntagged = route.Vlan == _vlan;
        if (!isUntagged && !HasTagged(route.Vlan))
        {
            return;
        }

        if (isUntagged != route.IsTagged)
        {
            Inbox.DeliverOrLose(frames);
            return;
        }

        foreach (NetFrame frame in frames)
        {
            NetFrame changed = isUntagged ? tag.Strip(frame) : tag.Insert(frame, route.Vlan);
            Inbox.DeliverOrLose(new ReadOnlySpan<NetFrame>(in changed));
        }
    }

    private bool HasTagged(int vlan) => _tagged is null || (vlan < VlanCount && _tagged[vlan]);
}
