using Uml.Net.Packets;

namespace Uml.Net.UserNet.Tcp;

/// <summary>
/// One side of a TCP connection (RFC 9293), without a network: segments are handed to it and taken from it, and it is told the time, in
/// milliseconds. Who calls it sees to it that nobody else does meanwhile.
/// </summary>
internal sealed partial class TcpConnection
{
    /// <summary>The least segment that a peer can ask for; with less there would be mere headers. A limit of ours.</summary>
    private const int MinimumSegmentSize = 64;

    /// <summary>What a peer takes that does not say (RFC 9293, 3.7.1).</summary>
    private const int DefaultSegmentSize = 536;

    /// <summary>Between confirmations of segments that say nothing new; two sides could confirm each other's for ever.</summary>
    private const int ChallengeInterval = 500;

    private readonly TcpSettings _settings;
    private readonly ITcpOwner _owner;
    private readonly TcpReceiver _receiver;
    private readonly TcpSender _sender;
    private readonly RoundTrip _roundTrip;
    private readonly uint _initial;
    private readonly uint _clockOffset;
    private readonly int _shift;
    private int _peerShift, _segmentSize = DefaultSegmentSize;
    private bool _hasTimestamps, _hasWindowShift, _isHeld, _isEnded, _isGone, _isAbandoned;
    private bool _mustSynchronize, _mustReset, _mustProbe, _mustKeepAlive;
    private uint _recentTimestamp, _lastAcknowledged, _timedSequence;
    private long _timedAt = -1, _retransmitAt = long.MaxValue, _idleAt = long.MaxValue, _lastHeard, _lastProgress, _challengedAt = long.MinValue;
    private int _probes;

    /// <param name="settings">Times and sizes.</param>
    /// <param name="owner">Hears of what happens.</param>
    /// <param name="initial">The number that it begins with, which nobody should guess (RFC 6528).</param>
    public TcpConnection(TcpSettings settings, ITcpOwner owner, uint initial)
    {
        (_settings, _owner, _initial) = (settings, owner, initial);
        _receiver = new TcpReceiver(settings);
        _sender = new TcpSender(settings, initial);
        _roundTrip = new RoundTrip(settings.MinimumTimeout, settings.MaximumTimeout);

        // The clock of the host is not the peer's to know.
        _clockOffset = initial * 0x9E37_79B9;
        while (settings.ReceiveLimit >> _shift > ushort.MaxValue)
        {
            _shift++;
        }
    }

    public TcpState State { get; private set; }

    /// <summary>What was received and not <see cref="Consume"/>d.</summary>
    public ByteQueue Received => _receiver.Queue;

    /// <summary>What was written and not acknowledged. Write behind its end, and tell by <see cref="OnWritten"/>.</summary>
    public ByteQueue Unacknowledged => _sender.Queue;

    /// <summary>Bytes that can be written.</summary>
    public int SendRoom => _sender.IsFinishing || _isEnded ? 0 : _sender.Queue.Room;

    /// <summary>Bytes of the header and data of a segment that is not cut later.</summary>
    public int SegmentRoom => FrameLayout.TcpLength + (_hasTimestamps ? TcpHeader.TimestampLength : 0) + _sender.SegmentSize;

    /// <summary>Whether the peer sends nothing behind what was received.</summary>
    public bool IsPeerFinished => _receiver.IsFinished;

    /// <summary>When <see cref="OnTime"/> has to be called; <see cref="long.MaxValue"/> for never.</summary>
    public long Deadline { get; private set; } = long.MaxValue;

    /// <summary>Asks the peer for a connection.</summary>
    public void Connect(long now)
    {
        State = TcpState.SynSent;
        _mustSynchronize = true;
        Start(now);
    }

    /// <summary>Takes a peer's wish for a connection, which <see cref="Accept"/> grants.</summary>
    /// <param name="synchronize">Its segment, with SYN and without ACK or RST.</param>
    /// <param name="now">The time.</param>
    public void Open(in TcpHeader synchronize, long now)
    {
        State = TcpState.SynReceived;
        _isHeld = true;
        ReadSynchronize(synchronize);
        Start(now);
    }

    /// <summary>Grants the connection.</summary>
    public void Accept(long now)
    {
        if (_isHeld)
        {
            (_isHeld, _mustSynchronize) = (false, true);
            Settle(now);
        }
    }

    /// <summary>Something was written to <see cref="Unacknowledged"/>.</summary>
    public void OnWritten(long now) => Settle(now);

    /// <summary>Something was read of <see cref="Received"/>.</summary>
    public void Consume(int count, long now)
    {
        _receiver.Consume(count);
        Settle(now);
    }

    /// <summary>Nothing will be written any more; what was written is still sent.</summary>
    public void Finish(long now)
    {
        if (_sender.IsFinishing || _isEnded)
        {
            return;
        }

        _sender.Finish();
        State = State switch
        {
            TcpState.Established => TcpState.FinWait1,
            TcpState.CloseWait => TcpState.LastAck,
            _ => State,
        };
        Settle(now);
    }

    /// <summary>Nobody reads or writes any more. A peer that sends more is told by RST (RFC 9293, 3.10.4; RFC 2525, 2.17).</summary>
    public void Abandon(long now)
    {
        if (Received.Length != 0 || State is TcpState.SynSent or TcpState.SynReceived)
        {
            Abort(now);
            return;
        }

        _isAbandoned = true;
        Finish(now);
        LimitAbandoned(now);
        Settle(now);
    }

    /// <summary>Resets the connection.</summary>
    public void Abort(long now) => Abort(TcpEnd.Aborted, now);

    /// <summary>Ends it without a word, as when the peer is told otherwise or is no more.</summary>
    public void Drop()
    {
        End(TcpEnd.Aborted);
        Go();
    }

    /// <summary>Whether a wish for a connection may take this one's place, which has ended (RFC 9293, 3.10.7.4; RFC 6191).</summary>
    public bool CanBeReplaced(in TcpHeader synchronize) => State == TcpState.TimeWait
        && (Sequence.IsBefore(_receiver.Next, synchronize.Sequence)
            || (_hasTimestamps && synchronize.HasTimestamp && Sequence.IsBefore(_recentTimestamp, synchronize.Timestamp)));

    private void Abort(TcpEnd end, long now)
    {
        if (State == TcpState.Closed)
        {
            return;
        }

        // Of a connection that the peer does not know yet there is nothing to reset; one that is over needs none.
        _mustReset = State is not (TcpState.SynSent or TcpState.TimeWait);
        End(end);
        if (_mustReset)
        {
            Settle(now);
        }
        else
        {
            Go();
        }
    }

    private void Start(long now)
    {
        (_lastHeard, _lastProgress) = (now, now);
        _idleAt = now + _settings.ConnectTimeout;
        Settle(now);
    }

    private void Establish(in TcpHeader header, long now)
    {
        State = _sender.IsFinishing ? TcpState.FinWait1 : TcpState.Established;
        bool isSynchronize = (header.Flags & TcpFlags.Syn) != 0;
        _sender.Begin(_segmentSize, header.Sequence, header.Window << (isSynchronize ? 0 : _peerShift));
        (_mustSynchronize, _retransmitAt, _lastProgress) = (false, long.MaxValue, now);
        _roundTrip.ResetBackOff();
        _idleAt = now + _settings.KeepAliveTime;
        _owner.OnConnected();
    }

    private void ReadSynchronize(in TcpHeader header)
    {
        _receiver.Begin(header.Sequence);
        _lastAcknowledged = _receiver.Next;
        _peerShift = header.HasWindowShift ? header.WindowShift : 0;
        _hasWindowShift = header.HasWindowShift;
        _sender.HasSack = header.IsSackPermitted;
        _hasTimestamps = header.HasTimestamp;
        _recentTimestamp = header.Timestamp;
        int peer = header.SegmentSize == 0 ? DefaultSegmentSize : Math.Max((int)header.SegmentSize, MinimumSegmentSize);
        _segmentSize = Math.Min(peer, _settings.SegmentSize) - (_hasTimestamps ? TcpHeader.TimestampLength : 0);
    }

    private int Shift => _hasWindowShift ? _shift : 0;

    private uint Clock(long now) => (uint)now + _clockOffset;

    private void LimitAbandoned(long now)
    {
        if (_isAbandoned && State == TcpState.FinWait2)
        {
            _idleAt = now + _settings.AbandonedTime;
        }
    }

    private void End(TcpEnd end)
    {
        if (_isEnded)
        {
            return;
        }

        _isEnded = true;
        if (end != TcpEnd.Finished)
        {
            State = TcpState.Closed;
            _sender.Clear();
            _receiver.Clear();
            (_retransmitAt, _idleAt) = (long.MaxValue, long.MaxValue);
        }

        _owner.OnEnded(end);
    }

    private void Go()
    {
        if (_isGone)
        {
            return;
        }

        // What the peer has sent before it finished is still there to be read.
        (_isGone, State, Deadline) = (true, TcpState.Closed, long.MaxValue);
        _sender.Clear();
        _owner.OnGone();
    }
}
