using Uml.Net.Packets;

namespace Uml.Net.UserNet.Tcp;

/// <content>What segments of the peer do (RFC 9293, 3.10.7).</content>
internal sealed partial class TcpConnection
{
    /// <summary>Takes a segment of the peer.</summary>
    /// <param name="header">Its header.</param>
    /// <param name="data">Its data.</param>
    /// <param name="now">The time.</param>
    public void Receive(in TcpHeader header, FrameData data, long now)
    {
        if (State == TcpState.Closed)
        {
            return;
        }

        (_lastHeard, _probes) = (now, 0);
        if (State == TcpState.SynSent)
        {
            ReceiveAnswer(header, now);
        }
        else if (IsWithinWindow(header, data.Length, now) && IsPlain(header, now))
        {
            ReceiveAcknowledgment(header, data.Length, now);
            ReceiveData(header, data, now);
        }

        Settle(now);
    }

    /// <summary>RFC 9293, 3.10.7.3.</summary>
    private void ReceiveAnswer(in TcpHeader header, long now)
    {
        bool hasAck = (header.Flags & TcpFlags.Ack) != 0;
        if (hasAck && header.Acknowledgment != _initial + 1)
        {
            return;
        }

        if ((header.Flags & TcpFlags.Reset) != 0)
        {
            if (hasAck)
            {
                End(TcpEnd.Refused);
                Go();
            }

            return;
        }

        if ((header.Flags & TcpFlags.Syn) == 0)
        {
            return;
        }

        ReadSynchronize(header);
        if (hasAck)
        {
            _receiver.MustAcknowledge = true;
            Establish(header, now);
        }
        else
        {
            (State, _mustSynchronize) = (TcpState.SynReceived, true);
        }
    }

    /// <summary>First and before all else: whether the segment is new, and not of another connection (RFC 9293, 3.10.7.4; RFC 7323, 5).</summary>
    private bool IsWithinWindow(in TcpHeader header, int dataLength, long now)
    {
        const TcpFlags counted = TcpFlags.Syn | TcpFlags.Fin;
        bool isReset = (header.Flags & TcpFlags.Reset) != 0;
        bool isOld = _hasTimestamps && header.HasTimestamp && !isReset && Sequence.IsBefore(header.Timestamp, _recentTimestamp);
        int length = dataLength + System.Numerics.BitOperations.PopCount((uint)(header.Flags & counted));

        // With a shut window nothing is acceptable, but acknowledgments count.
        if (!isOld && (_receiver.IsAcceptable(header.Sequence, length) || header.Sequence == _receiver.Next))
        {
            return true;
        }

        if (isReset || _isHeld)
        {
            return false;
        }

        if (State == TcpState.SynReceived)
        {
            // The answer was lost.
            _mustSynchronize |= (header.Flags & TcpFlags.Syn) != 0;
            return false;
        }

        if (State == TcpState.TimeWait && (header.Flags & TcpFlags.Fin) != 0)
        {
            _idleAt = now + _settings.TimeWait;
        }

        Challenge(length, now);
        return false;
    }

    /// <summary>Whether it is no RST and no SYN (RFC 5961), and says what it acknowledges.</summary>
    private bool IsPlain(in TcpHeader header, long now)
    {
        if ((header.Flags & TcpFlags.Reset) != 0)
        {
            if (header.Sequence == _receiver.Next)
            {
                End(TcpEnd.Reset);
                Go();
            }
            else
            {
                Challenge(length: 0, now);
            }

            return false;
        }

        if ((header.Flags & TcpFlags.Syn) != 0)
        {
            Challenge(length: 0, now);
            return false;
        }

        return (header.Flags & TcpFlags.Ack) != 0 && !_isHeld;
    }

    /// <summary>Says where this side is. Segments with data are confirmed each time: they are a peer's who has missed it.</summary>
    private void Challenge(int length, long now)
    {
        if (State is TcpState.SynReceived)
        {
            return;
        }

        if (length != 0 || now >= _challengedAt + ChallengeInterval || _challengedAt == long.MinValue)
        {
            _challengedAt = length == 0 ? now : _challengedAt;
            _receiver.MustAcknowledge = true;
        }
    }

    private void ReceiveAcknowledgment(in TcpHeader header, int dataLength, long now)
    {
        if (State == TcpState.SynReceived)
        {
            if (header.Acknowledgment != _initial + 1)
            {
                return;
            }

            Establish(header, now);
        }

        if (Sequence.IsBefore(_sender.Maximum, header.Acknowledgment))
        {
            Challenge(length: 1, now);
            return;
        }

        if (_hasTimestamps && header.HasTimestamp && Sequence.IsBeforeOrAt(header.Sequence, _lastAcknowledged))
        {
            _recentTimestamp = header.Timestamp;
        }

        if (Sequence.IsBefore(header.Acknowledgment, _sender.Una))
        {
            return;
        }

        bool isNew = header.Acknowledgment != _sender.Una;
        int bytes = _sender.Acknowledge(header, header.Window << _peerShift, dataLength != 0 || (header.Flags & TcpFlags.Fin) != 0);
        if (!isNew)
        {
            return;
        }

        Measure(header, now);
        _roundTrip.ResetBackOff();
        _lastProgress = now;
        _retransmitAt = _sender.HasInFlight ? now + _roundTrip.Timeout : long.MaxValue;
        if (_sender.IsFinished)
        {
            OnFinishAcknowledged(now);
        }

        if (bytes != 0 && !_isEnded)
        {
            _owner.OnSendRoom();
        }
    }

    /// <summary>How long the round trip was, by timestamps (RFC 7323, 4) or else by a segment that was sent once (RFC 6298, 3).</summary>
    private void Measure(in TcpHeader header, long now)
    {
        if (_hasTimestamps && header.HasTimestamp)
        {
            int elapsed = (int)(Clock(now) - header.TimestampEcho);
            if (elapsed >= 0)
            {
                _roundTrip.Add(elapsed);
            }
        }
        else if (_timedAt >= 0 && Sequence.IsBefore(_timedSequence, header.Acknowledgment))
        {
            _roundTrip.Add(now - _timedAt);
            _timedAt = -1;
        }
    }

    private void OnFinishAcknowledged(long now)
    {
        switch (State)
        {
            case TcpState.FinWait1:
                State = TcpState.FinWait2;
                LimitAbandoned(now);
                break;
            case TcpState.Closing:
                WaitBeforeGone(now);
                break;
            case TcpState.LastAck:
                End(TcpEnd.Finished);
                Go();
                break;
        }
    }

    private void ReceiveData(in TcpHeader header, FrameData data, long now)
    {
        bool isLast = (header.Flags & TcpFlags.Fin) != 0;
        if (State is not (TcpState.Established or TcpState.FinWait1 or TcpState.FinWait2) || (data.Length == 0 && !isLast))
        {
            return;
        }

        if (_isAbandoned && data.Length != 0)
        {
            Abort(now);
            return;
        }

        _receiver.Take(header.Sequence, data, isLast, _owner, now);
        if (!_receiver.IsFinished || _isEnded)
        {
            return;
        }

        switch (State)
        {
            case TcpState.Established:
                State = TcpState.CloseWait;
                break;
            case TcpState.FinWait1:
                State = TcpState.Closing;
                break;
            default:
                WaitBeforeGone(now);
                break;
        }

        _owner.OnPeerFinished();
    }

    private void WaitBeforeGone(long now)
    {
        State = TcpState.TimeWait;
        _idleAt = now + _settings.TimeWait;
        End(TcpEnd.Finished);
    }
}
