using Uml.Net.Packets;

namespace Uml.Net.UserNet.Tcp;

/// <summary>The half of a connection that receives: what has arrived in order and out of order, the window, and when to acknowledge.</summary>
internal sealed class TcpReceiver(TcpSettings settings)
{
    private readonly RangeSet _ranges = new();
    private uint _edge;
    private uint? _finish;
    private int _unacknowledged;
    private TcpRange _newest;

    /// <summary>What was received in order and not read.</summary>
    public ByteQueue Queue { get; } = new(settings.Pool, settings.ReceiveLimit);

    /// <summary>The sequence number that comes next (RCV.NXT).</summary>
    public uint Next { get; private set; }

    /// <summary>Whether the peer's FIN has arrived, and all before it.</summary>
    public bool IsFinished { get; private set; }

    /// <summary>Whether something has arrived out of order.</summary>
    public bool HasGaps => _ranges.Count != 0;

    /// <summary>An acknowledgment is due.</summary>
    public bool MustAcknowledge { get; set; }

    /// <summary>When one will be due; <see cref="long.MaxValue"/> for never.</summary>
    public long AcknowledgeAt { get; private set; } = long.MaxValue;

    /// <summary>Bytes that the peer may still send.</summary>
    public int Window => (int)(_edge - Next);

    /// <summary>The peer's first number is known: that of its SYN.</summary>
    public void Begin(uint synchronize)
    {
        Next = synchronize + 1;
        _edge = Next + (uint)Queue.Limit;
    }

    /// <summary>Whether some of a segment is within the window (RFC 9293, 3.10.7.4).</summary>
    public bool IsAcceptable(uint sequence, int length)
    {
        uint end = sequence + (uint)length;
        return length == 0
            ? Sequence.IsBeforeOrAt(Next, sequence) && Sequence.IsBeforeOrAt(sequence, _edge)
            : Sequence.IsBefore(sequence, _edge) && Sequence.IsBefore(Next, end);
    }

    /// <summary>Takes what is new of a segment's data.</summary>
    /// <param name="sequence">The number of its first byte.</param>
    /// <param name="data">The data, of which some may be old or beyond the window.</param>
    /// <param name="isLast">Whether FIN is behind it.</param>
    /// <param name="owner">Gets what is in order.</param>
    /// <param name="now">The time.</param>
    public void Take(uint sequence, FrameData data, bool isLast, ITcpOwner owner, long now)
    {
        uint end = sequence + (uint)data.Length;
        if (isLast && Sequence.IsBeforeOrAt(end, _edge))
        {
            _finish ??= end;
        }

        uint limit = _finish is { } finish ? Sequence.Earlier(finish, _edge) : _edge;
        int skip = Sequence.IsBefore(sequence, Next) ? (int)Math.Min(Next - sequence, (uint)data.Length) : 0;
        int beyond = Sequence.IsBefore(limit, end) ? (int)Math.Min(end - limit, (uint)data.Length) : 0;
        if (skip + beyond < data.Length)
        {
            uint first = sequence + (uint)skip;
            data = data.Slice(skip, data.Length - skip - beyond);
            if (first == Next)
            {
                TakeInOrder(data, owner, now);
            }
            else
            {
                Keep(first, data);
            }
        }

        // What was there before, or found no room, is acknowledged at once: the peer may have missed that it was (RFC 9293, 3.10.7.4).
        MustAcknowledge |= data.Length != 0 && skip + beyond != 0;
        if (_finish == Next && !IsFinished)
        {
            Next++;
            IsFinished = true;
            MustAcknowledge = true;
        }
    }

    /// <summary>Bytes were read from the queue.</summary>
    public void Consume(int count)
    {
        Queue.Consume(count, mayHoldMore: _ranges.Count != 0);

        // A window that was shut, or a good part of it, is worth a segment of its own (RFC 9293, 3.8.6.2.2).
        int opened = (int)(Next + (uint)Queue.Room - _edge);
        int worth = Window < 2 * settings.SegmentSize ? Math.Min(settings.SegmentSize, Queue.Limit / 2) : Queue.Limit / 4;
        MustAcknowledge |= opened >= worth && !IsFinished;
    }

    /// <summary>Nothing is read any more.</summary>
    public void Clear()
    {
        Queue.Clear();
        _ranges.Clear();
    }

    /// <summary>Time has passed.</summary>
    public void OnTime(long now) => MustAcknowledge |= now >= AcknowledgeAt;

    /// <summary>Writes acknowledgment, window and SACK to a header that is sent.</summary>
    public void Acknowledge(ref TcpHeader header, int shift, bool hasSack)
    {
        uint edge = Next + (uint)Queue.Room;
        if ((int)(edge - _edge) >= Math.Min(settings.SegmentSize, Queue.Limit / 2))
        {
            _edge = edge;
        }

        // FIN has a number of its own, which the window need not have room for.
        int window = Sequence.IsBefore(_edge, Next) ? 0 : Window;
        header.Acknowledgment = Next;
        header.Window = (ushort)Math.Min(window >> shift, ushort.MaxValue);
        header.Flags |= TcpFlags.Ack;
        if (hasSack)
        {
            WriteSacks(ref header);
        }

        (MustAcknowledge, AcknowledgeAt, _unacknowledged) = (false, long.MaxValue, 0);
    }

    private void TakeInOrder(FrameData data, ITcpOwner owner, long now)
    {
        int taken = Queue.Length == 0 && _ranges.Count == 0 ? owner.OnData(data) : 0;
        Next += (uint)taken;
        _unacknowledged += data.Length;
        MustAcknowledge |= _ranges.Count != 0 || _unacknowledged >= 2 * settings.SegmentSize;
        if (!MustAcknowledge)
        {
            AcknowledgeAt = Math.Min(AcknowledgeAt, now + settings.AckDelay);
        }

        if (taken == data.Length)
        {
            // The window stays as wide: what was taken needs no room.
            return;
        }

        int kept = Queue.Write(Queue.Length, data.Slice(taken, data.Length - taken));
        Next += (uint)kept;
        Queue.Extend(kept);
        if (_ranges.Count != 0)
        {
            _ranges.RemoveBefore(Next);
            if (_ranges.Count != 0 && _ranges[0].Start == Next)
            {
                int filled = _ranges[0].Length;
                Next += (uint)filled;
                Queue.Extend(filled);
                _ranges.RemoveBefore(Next);
            }
        }

        owner.OnReceived();
    }

    private void Keep(uint first, FrameData data)
    {
        MustAcknowledge = true;
        int kept = Queue.Write(Queue.Length + (int)(first - Next), data);
        if (kept != 0)
        {
            _newest = new TcpRange(first, first + (uint)kept);
            _ = _ranges.Add(_newest);
        }
    }

    /// <summary>The range with what arrived last comes first (RFC 2018, 4).</summary>
    private void WriteSacks(ref TcpHeader header)
    {
        int newest = -1;
        for (int i = 0; i < _ranges.Count; i++)
        {
            if (Sequence.IsBeforeOrAt(_ranges[i].Start, _newest.Start) && Sequence.IsBefore(_newest.Start, _ranges[i].End))
            {
                newest = i;
                header.Sacks[header.SackCount++] = _ranges[i];
                break;
            }
        }

        for (int i = 0; i < _ranges.Count && header.SackCount < TcpRanges.Capacity; i++)
        {
            if (i != newest)
            {
                header.Sacks[header.SackCount++] = _ranges[i];
            }
        }
    }
}
