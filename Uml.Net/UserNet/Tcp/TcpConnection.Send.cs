using Uml.Net.Packets;

namespace Uml.Net.UserNet.Tcp;

/// <content>What is sent, and when.</content>
internal sealed partial class TcpConnection
{
    /// <summary>Whether <see cref="TryMake"/> has something.</summary>
    public bool HasOutput => !_isGone
        && (_mustReset || _mustSynchronize || _receiver.MustAcknowledge || _mustKeepAlive || _mustProbe || _sender.HasOutput);

    /// <summary>Makes the next segment that is to be sent.</summary>
    /// <param name="room">Bytes that its header and data may have.</param>
    /// <param name="now">The time.</param>
    /// <param name="output">Gets it.</param>
    /// <returns>False when there is none.</returns>
    public bool TryMake(int room, long now, out TcpOutput output)
    {
        output = default;
        if (_isGone)
        {
            return false;
        }

        if (_mustReset)
        {
            _mustReset = false;
            output.Header = MakeReset();
            Go();
            return true;
        }

        bool isMade = State switch
        {
            TcpState.Closed => false,
            TcpState.SynSent or TcpState.SynReceived => TryMakeSynchronize(ref output, now),
            _ => TryMakeSynchronized(room, ref output, now),
        };
        if (isMade)
        {
            Settle(now);
        }

        return isMade;
    }

    /// <summary>The segment that resets the connection where it is.</summary>
    public TcpHeader MakeReset()
    {
        TcpHeader header = new() { Sequence = _sender.Next };
        _receiver.Acknowledge(ref header, Shift, hasSack: false);
        header.Flags |= TcpFlags.Reset;
        return header;
    }

    /// <summary>Time has passed.</summary>
    public void OnTime(long now)
    {
        if (_isGone)
        {
            return;
        }

        _receiver.OnTime(now);
        if (now >= _retransmitAt)
        {
            OnRetransmission(now);
        }

        if (now >= _idleAt)
        {
            OnIdle(now);
        }

        Settle(now);
    }

    private bool TryMakeSynchronize(ref TcpOutput output, long now)
    {
        if (!_mustSynchronize)
        {
            return false;
        }

        _mustSynchronize = false;
        bool isAnswer = State == TcpState.SynReceived;
        ref TcpHeader header = ref output.Header;
        header.Sequence = _initial;
        header.Window = (ushort)Math.Min(_settings.ReceiveLimit, ushort.MaxValue);
        if (isAnswer)
        {
            _receiver.Acknowledge(ref header, shift: 0, hasSack: false);
        }

        header.Flags |= TcpFlags.Syn;
        header.SegmentSize = (ushort)_settings.SegmentSize;
        (header.HasWindowShift, header.WindowShift) = (!isAnswer || _hasWindowShift, (byte)_shift);
        header.IsSackPermitted = !isAnswer || _sender.HasSack;
        Stamp(ref header, !isAnswer || _hasTimestamps, now);
        _sender.SendSynchronize();
        _retransmitAt = now + _roundTrip.Timeout;
        return true;
    }

    private bool TryMakeSynchronized(int room, ref TcpOutput output, long now)
    {
        ref TcpHeader header = ref output.Header;
        room -= FrameLayout.TcpLength + (_hasTimestamps ? TcpHeader.TimestampLength : 0);
        bool isAcknowledgment = _receiver.MustAcknowledge && _receiver.HasGaps;
        if (!isAcknowledgment && _sender.TryPick(room, _mustProbe, ref output, out bool isAgain))
        {
            // SACK goes without data, of which there would be less in a segment.
            _mustProbe = false;
            OnSent(output, isAgain, now);
        }
        else if (_mustKeepAlive)
        {
            header.Sequence = _sender.Next - 1;
        }
        else if (_receiver.MustAcknowledge)
        {
            header.Sequence = _sender.Next;
        }
        else
        {
            _mustProbe = false;
            return false;
        }

        _mustKeepAlive = false;
        _receiver.Acknowledge(ref header, Shift, _sender.HasSack && output.DataLength == 0);
        _lastAcknowledged = header.Acknowledgment;
        Stamp(ref header, _hasTimestamps, now);
        return true;
    }

    private void OnSent(in TcpOutput output, bool isAgain, long now)
    {
        if (_retransmitAt == long.MaxValue)
        {
            _retransmitAt = now + _roundTrip.Timeout;
            _lastProgress = now;
        }

        if (isAgain)
        {
            _timedAt = -1;
        }
        else if (_timedAt < 0)
        {
            (_timedAt, _timedSequence) = (now, output.Header.Sequence);
        }
    }

    private void Stamp(ref TcpHeader header, bool hasTimestamp, long now)
    {
        if (hasTimestamp)
        {
            (header.HasTimestamp, header.Timestamp, header.TimestampEcho) = (true, Clock(now), _recentTimestamp);
        }
    }

    private void OnRetransmission(long now)
    {
        _roundTrip.BackOff();
        _retransmitAt = now + _roundTrip.Timeout;
        _timedAt = -1;
        if (State is TcpState.SynSent or TcpState.SynReceived)
        {
            _mustSynchronize = true;
        }
        else if (_sender.IsBlocked)
        {
            // As long as the peer answers, its window may be shut (RFC 9293, 3.8.6.1).
            _lastProgress = Math.Max(_lastProgress, _lastHeard);
            _mustProbe = true;
        }
        else if (_sender.Next != _sender.Una)
        {
            _sender.OnTimeout();
        }

        if (now - _lastProgress > _settings.GiveUp)
        {
            Abort(TcpEnd.TimedOut, now);
        }
    }

    private void OnIdle(long now)
    {
        switch (State)
        {
            case TcpState.SynSent or TcpState.SynReceived:
                Abort(TcpEnd.TimedOut, now);
                return;
            case TcpState.TimeWait:
                Go();
                return;
            case TcpState.FinWait2 when _isAbandoned:
                Abort(now);
                return;
        }

        if (now - _lastHeard < _settings.KeepAliveTime || _sender.HasInFlight)
        {
            // What is in flight asks as well.
            _idleAt = Math.Max(_lastHeard, now - _settings.KeepAliveTime + _settings.KeepAliveInterval) + _settings.KeepAliveTime;
        }
        else if (_probes == _settings.KeepAliveProbes)
        {
            Abort(TcpEnd.TimedOut, now);
        }
        else
        {
            _probes++;
            _mustKeepAlive = true;
            _idleAt = now + _settings.KeepAliveInterval;
        }
    }

    /// <summary>Sets what follows from a change: timers, and whether there is something to be sent.</summary>
    private void Settle(long now)
    {
        if (_isGone)
        {
            return;
        }

        if (State is not (TcpState.SynSent or TcpState.SynReceived) && !_sender.HasInFlight)
        {
            _retransmitAt = !_sender.IsBlocked ? long.MaxValue : _retransmitAt == long.MaxValue ? now + _roundTrip.Timeout : _retransmitAt;
        }

        long deadline = Math.Min(Math.Min(_retransmitAt, _idleAt), _receiver.AcknowledgeAt);
        if (deadline != Deadline)
        {
            Deadline = deadline;
            _owner.OnDeadline();
        }

        if (HasOutput)
        {
            _owner.OnOutput();
        }
    }
}
