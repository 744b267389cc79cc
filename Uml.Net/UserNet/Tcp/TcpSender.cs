using Uml.Net.Packets;

namespace Uml.Net.UserNet.Tcp;

/// <summary>
/// The half of a connection that sends: what is not acknowledged, the peer's window, congestion (RFC 5681), and what was lost (RFC 6675 with SACK,
/// RFC 6582 without).
/// </summary>
internal sealed class TcpSender
{
    /// <summary>Segments acknowledged out of order that mean a loss (RFC 5681, 3.2).</summary>
    private const int DuplicateThreshold = 3;

    /// <summary>RFC 6928.</summary>
    private const int InitialSegments = 10;

    /// <summary>More than any queue holds.</summary>
    private const int MaximumCongestionWindow = 1 << 28;

    private readonly RangeSet _sacked = new();
    private uint _first, _windowSequence, _windowAcknowledgment, _recover, _retransmit, _lostEnd;
    private int _window, _largestWindow, _congestionWindow, _threshold = int.MaxValue, _duplicates;
    private bool _isRecovering, _hasTimedOut, _isSynchronized;

    public TcpSender(TcpSettings settings, uint initial)
    {
        Queue = new ByteQueue(settings.Pool, settings.SendLimit);
        (Una, Next, Maximum, _first) = (initial, initial, initial, initial + 1);
        (_retransmit, _lostEnd) = (initial, initial);
    }

    /// <summary>What was written and is not acknowledged.</summary>
    public ByteQueue Queue { get; }

    /// <summary>The oldest number that is not acknowledged (SND.UNA).</summary>
    public uint Una { get; private set; }

    /// <summary>The number of what is sent next for the first time (SND.NXT).</summary>
    public uint Next { get; private set; }

    /// <summary>The number behind all that was ever sent, probes of a window included.</summary>
    public uint Maximum { get; private set; }

    /// <summary>Whether nothing will be written any more.</summary>
    public bool IsFinishing { get; private set; }

    /// <summary>Whether the peer has acknowledged all, and that nothing follows.</summary>
    public bool IsFinished => IsFinishing && Una == _first + (uint)Queue.Length + 1;

    /// <summary>Bytes of data in a segment.</summary>
    public int SegmentSize { get; private set; } = 536;

    /// <summary>Whether the peer tells what it has out of order.</summary>
    public bool HasSack { get; set; }

    public bool HasInFlight => Una != Maximum;

    /// <summary>Whether there is something that the window does not let through, so that the window must be probed (RFC 9293, 3.8.6.1).</summary>
    public bool IsBlocked => Una == Next && _isSynchronized && HasUnsent && PickNew() == 0;

    private bool HasUnsent => Next != End;

    private uint End => _first + (uint)Queue.Length + (IsFinishing ? 1u : 0);

    private int InFlight => (int)(Next - Una);

    /// <summary>What is lost, and was not sent again.</summary>
    private int Lost => Sequence.IsBefore(_retransmit, _lostEnd) ? (int)(_lostEnd - _retransmit) - CountSacked(_retransmit, _lostEnd) : 0;

    /// <summary>SYN was sent.</summary>
    public void SendSynchronize()
    {
        Next = _first;
        Maximum = Sequence.Later(Maximum, Next);
    }

    /// <summary>The peer has acknowledged SYN.</summary>
    public void Begin(int segmentSize, uint sequence, int window)
    {
        (Una, Next, SegmentSize, _isSynchronized) = (_first, _first, segmentSize, true);
        Maximum = Next;
        _congestionWindow = InitialSegments * segmentSize;
        (_windowSequence, _windowAcknowledgment, _window, _largestWindow) = (sequence, Una, window, window);
        (_retransmit, _lostEnd) = (_first, _first);
    }

    /// <summary>Nothing will be written any more.</summary>
    public void Finish() => IsFinishing = true;

    public void Clear()
    {
        Queue.Clear();
        _sacked.Clear();
    }

    /// <summary>The peer has acknowledged something, or said what it has.</summary>
    /// <param name="header">Its segment.</param>
    /// <param name="window">Its window.</param>
    /// <param name="hasData">Whether the segment has data, or SYN or FIN.</param>
    /// <returns>Bytes that were acknowledged, FIN not counted.</returns>
    public int Acknowledge(in TcpHeader header, int window, bool hasData)
    {
        uint acknowledgment = header.Acknowledgment;
        bool isNews = HasSack && AddSacks(header);
        int bytes = 0;
        if (Sequence.IsBefore(Una, acknowledgment))
        {
            bytes = Advance(acknowledgment);
        }
        else if (acknowledgment == Una && HasInFlight && (HasSack ? isNews : !hasData && window == _window))
        {
            _duplicates++;
        }

        UpdateWindow(header, window);
        FindLosses();
        return bytes;
    }

    /// <summary>The oldest of what was sent was not acknowledged in time (RFC 5681, 3.1; RFC 6298, 5.4).</summary>
    public void OnTimeout()
    {
        _threshold = Math.Max(InFlight / 2, 2 * SegmentSize);
        _congestionWindow = SegmentSize;

        // What the peer has told to have it may have dropped since (RFC 2018, 8).
        _sacked.Clear();
        (_isRecovering, _hasTimedOut, _duplicates) = (true, true, 0);
        (_recover, _retransmit, _lostEnd) = (Next, Una, Next);
    }

    /// <summary>Whether there is data to be sent, now and for the first time or again.</summary>
    public bool HasOutput => _isSynchronized && (HasLoss(out _) || PickNew() != 0);

    /// <summary>Picks what is sent next, if there is anything.</summary>
    /// <param name="room">Bytes of data that there is room for.</param>
    /// <param name="isProbe">Whether a byte has to go that the window has no room for.</param>
    /// <param name="output">Gets its place and flags.</param>
    /// <param name="isAgain">Whether some of it was sent before.</param>
    public bool TryPick(int room, bool isProbe, ref TcpOutput output, out bool isAgain)
    {
        isAgain = true;
        if (!_isSynchronized)
        {
            return false;
        }

        if (HasLoss(out TcpRange lost))
        {
            int length = Fill(Math.Min(lost.Length, Math.Max(_congestionWindow - Pipe, SegmentSize)), room);
            Write(ref output, lost.Start, length);
            _retransmit = lost.Start + (uint)length;
            return true;
        }

        int fresh = PickNew();
        if (isProbe && fresh == 0)
        {
            // A piece that was too small to be worth it goes now.
            fresh = Math.Max(Math.Min((int)(End - Next), _window - InFlight), 0);
        }

        isProbe &= fresh == 0 && HasUnsent;
        if (fresh == 0 && !isProbe)
        {
            return false;
        }

        fresh = isProbe ? 1 : Fill(fresh, room);
        Write(ref output, Next, fresh);
        isAgain = Sequence.IsBefore(Next, Maximum);
        Maximum = Sequence.Later(Maximum, Next + (uint)fresh);

        // A probe counts when it is acknowledged: most are dropped.
        Next += isProbe ? 0 : (uint)fresh;
        return true;
    }

    private int Advance(uint acknowledgment)
    {
        int flight = InFlight;
        int acknowledged = (int)(acknowledgment - Una);
        int bytes = Math.Min(acknowledged, Queue.Length);
        Queue.Consume(bytes);
        _first += (uint)bytes;
        Una = acknowledgment;
        Next = Sequence.Later(Next, Una);
        _sacked.RemoveBefore(Una);
        _retransmit = Sequence.Later(_retransmit, Una);
        _duplicates = 0;
        if (!_isRecovering)
        {
            Grow(acknowledged, flight);
        }
        else if (!Sequence.IsBefore(Una, _recover))
        {
            (_isRecovering, _hasTimedOut) = (false, false);
            _congestionWindow = Math.Max(Math.Min(_threshold, _congestionWindow), SegmentSize);
        }
        else if (_hasTimedOut)
        {
            Grow(acknowledged, flight);
        }
        else if (!HasSack)
        {
            // A part was acknowledged: what comes next is lost as well (RFC 6582, 3.2).
            (_retransmit, _lostEnd) = (Una, Sequence.Earlier(Una + (uint)SegmentSize, _recover));
        }

        return bytes;
    }

    private void Grow(int acknowledged, int flight)
    {
        if (flight < _congestionWindow / 2 && !_hasTimedOut)
        {
            // It is not what holds the connection back.
            return;
        }

        int step = _congestionWindow < _threshold ? acknowledged : (int)Math.Max(1, (long)SegmentSize * acknowledged / _congestionWindow);
        _congestionWindow = Math.Min(_congestionWindow + step, MaximumCongestionWindow);
    }

    private bool AddSacks(in TcpHeader header)
    {
        int before = _sacked.Total;
        for (int i = 0; i < header.SackCount; i++)
        {
            TcpRange range = header.Sacks[i];
            if (Sequence.IsBefore(Una, range.Start) && Sequence.IsBefore(range.Start, range.End) && Sequence.IsBeforeOrAt(range.End, Next))
            {
                _ = _sacked.Add(range);
            }
        }

        return _sacked.Total != before;
    }

    private void UpdateWindow(in TcpHeader header, int window)
    {
        if (Sequence.IsBefore(_windowSequence, header.Sequence)
            || (_windowSequence == header.Sequence && Sequence.IsBeforeOrAt(_windowAcknowledgment, header.Acknowledgment)))
        {
            (_window, _windowSequence, _windowAcknowledgment) = (window, header.Sequence, header.Acknowledgment);
            _largestWindow = Math.Max(_largestWindow, window);
        }
    }

    private void FindLosses()
    {
        bool isLoss = HasSack ? _sacked.Count >= DuplicateThreshold || _sacked.Total > (DuplicateThreshold - 1) * SegmentSize : _duplicates >= DuplicateThreshold;
        if (!_isRecovering)
        {
            // Nothing of what was sent before the last recovery starts another (RFC 6582, 3.2).
            if (!isLoss || (!HasSack && Sequence.IsBefore(Una, _recover)))
            {
                return;
            }

            (_isRecovering, _hasTimedOut, _recover, _retransmit) = (true, false, Next, Una);
            _threshold = Math.Max(InFlight / 2, 2 * SegmentSize);
            _congestionWindow = _threshold;
            _lostEnd = Una + (uint)Math.Min(SegmentSize, InFlight);
        }

        if (HasSack && !_hasTimedOut && isLoss)
        {
            _lostEnd = Sequence.Later(_lostEnd, _sacked[_sacked.Count - 1].Start);
        }
    }

    /// <summary>What was lost and may be sent again now.</summary>
    private bool HasLoss(out TcpRange lost)
    {
        lost = default;
        if (!_isRecovering || !Sequence.IsBefore(_retransmit, _lostEnd))
        {
            return false;
        }

        // The first goes at once; the others as the congestion window has room.
        if (_retransmit != Una && Pipe + SegmentSize > _congestionWindow)
        {
            return false;
        }

        lost = _sacked.TryFindGap(_retransmit, out TcpRange gap) ? gap : new TcpRange(Sequence.Later(_retransmit, SackedEnd), _lostEnd);
        lost = lost with { End = Sequence.Earlier(lost.End, _lostEnd) };
        return Sequence.IsBefore(lost.Start, lost.End);
    }

    private uint SackedEnd => _sacked.Count == 0 ? Una : _sacked[_sacked.Count - 1].End;

    /// <summary>What is on its way (RFC 6675, 4).</summary>
    private int Pipe => InFlight - (HasSack ? _sacked.Total : Math.Min(_duplicates * SegmentSize, InFlight)) - Lost;

    /// <summary>How much of what was never sent may go now; FIN counts as a byte.</summary>
    private int PickNew()
    {
        int unsent = (int)(End - Next);
        if (unsent == 0)
        {
            return 0;
        }

        // What has arrived out of order makes room for something new, whose confirmation tells a loss from reordering (RFC 3042).
        int room = Math.Min(_window - InFlight, _congestionWindow - Pipe);
        int length = Math.Min(unsent, room);

        // Small pieces of a window that opens slowly would stay small (RFC 9293, 3.8.6.2.1).
        return length > 0 && (length == unsent || length >= SegmentSize || length >= _largestWindow / 2) ? length : 0;
    }

    /// <summary>Whole segments where they are large.</summary>
    private int Fill(int length, int room)
    {
        int most = Math.Max(room, 1);
        most = most >= SegmentSize ? most - (most % SegmentSize) : most;
        return length <= most ? length : most;
    }

    private void Write(ref TcpOutput output, uint sequence, int length)
    {
        output.Header.Sequence = sequence;
        output.DataOffset = (int)(sequence - _first);
        output.DataLength = Math.Min(length, Queue.Length - output.DataOffset);
        output.SegmentSize = SegmentSize;
        if (output.DataLength < length)
        {
            output.Header.Flags |= TcpFlags.Fin;
        }

        if (output.DataOffset + output.DataLength == Queue.Length)
        {
            output.Header.Flags |= TcpFlags.Push;
        }
    }

    private int CountSacked(uint start, uint end)
    {
        int count = 0;
        for (int i = 0; i < _sacked.Count; i++)
        {
            uint from = Sequence.Later(_sacked[i].Start, start), to = Sequence.Earlier(_sacked[i].End, end);
            count += Sequence.IsBefore(from, to) ? (int)(to - from) : 0;
        }

        return count;
    }
}
