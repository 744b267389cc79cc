using System.Runtime.InteropServices;
using Uml.Net.Frames;
using Uml.Net.Interop;
using Uml.Net.Packets;
using Uml.Net.Polling;
using Uml.Net.Transports.Descriptors;

namespace Uml.Net.Transports.Streams;

/// <summary>One connection of a stream: what was received of it, and what of a frame is still to be sent.</summary>
internal sealed class StreamConnection(PolledDescriptor polled, StreamFraming framing, int depth)
{
    /// <summary>The longest frame that is taken: QEMU's own limit. What claims to be longer is skipped.</summary>
    public const int MaximumFrame = 69632;

    /// <summary>Reads of one call, so that a peer that sends nothing of use does not keep the caller.</summary>
    private const int MaximumReads = 16;

    private readonly Lock _sending = new();
    private readonly int _lengthSize = StreamLength.Size(framing);
    private readonly MessageBatch _batch = new(depth, StreamLength.Size(framing), isSocket: true);
    private readonly byte[] _received = new byte[4 * MaximumFrame];
    private byte[] _unsent = new byte[4096];
    private int _start, _end, _unsentStart, _unsentEnd;
    private long _skip;

    public PolledDescriptor Polled => polled;

    public bool IsDrained { get; private set; }

    public bool IsFull { get; private set; }

    public long Dropped { get; private set; }

    public long Lost { get; private set; }

    /// <summary>Receives frames.</summary>
    /// <returns>How many; -1, without any, when the other end is gone.</returns>
    public int Receive(ReadOnlySpan<NetFrame> frames)
    {
        IsDrained = false;
        int done = 0;
        for (int reads = 0; ; reads++)
        {
            while (done < frames.Length && TryTake(out ReadOnlySpan<byte> frame))
            {
                if (frame.Length >= FrameLayout.EthernetLength && frames[done].TryCopyFrom(frame))
                {
                    frames[done++].Offload = default;
                }
                else
                {
                    Dropped++;
                }
            }

            if (done == frames.Length || reads == MaximumReads)
            {
                return done;
            }

            if (!TryRead(out bool hasEnded))
            {
                return hasEnded && done == 0 ? -1 : done;
            }
        }
    }

    /// <summary>Sends frames.</summary>
    /// <returns>How many were sent or lost; -1 when the other end is gone.</returns>
    public int Send(ReadOnlySpan<NetFrame> frames)
    {
        lock (_sending)
        {
            IsFull = false;
            int done = 0;
            while (TryFlush(out bool isGone) || isGone)
            {
                if (isGone)
                {
                    return -1;
                }

                if (done == frames.Length)
                {
                    break;
                }

                if (!CanSend(frames[done]))
                {
                    (done, Lost) = (done + 1, Lost + 1);
                    continue;
                }

                int sent = SendBatch(frames[done..]);
                if (sent <= 0)
                {
                    return sent < 0 ? -1 : done;
                }

                done += sent;
            }

            return done;
        }
    }

    /// <summary>There is room again for what was left of a frame.</summary>
    public void OnWritable()
    {
        lock (_sending)
        {
            // An error is found again by whoever sends or receives next.
            _ = TryFlush(out _);
        }
    }

    /// <returns>Whether nothing of a frame is left to be sent.</returns>
    private bool TryFlush(out bool isGone)
    {
        isGone = false;
        while (_unsentStart != _unsentEnd)
        {
            nint sent = Socket.Send(polled.Descriptor, _unsent.AsSpan(_unsentStart), _unsentEnd - _unsentStart, Socket.DoNotWait | Socket.NoSignal);
            if (sent < 0)
            {
                isGone = IsGone(Marshal.GetLastPInvokeError());
                return false;
            }

            _unsentStart += (int)sent;
        }

        return true;
    }

    private bool CanSend(NetFrame frame) => frame.Pieces.Length <= MessageBatch.MaximumPieces && frame.Length <= StreamLength.MaximumFrame(framing);

    private bool IsGone(int error)
    {
        IsFull = error is Errno.Again or Errno.Interrupted;
        return !IsFull;
    }

    private int SendBatch(ReadOnlySpan<NetFrame> frames)
    {
        nint sent;
        int error;
        int count = 0;
        try
        {
            for (; count < frames.Length && CanSend(frames[count]) && _batch.TryAdd(frames[count], frames[count].Length); count++)
            {
                StreamLength.Write(framing, _batch.Header(count), frames[count].Length);
            }

            sent = _batch.SendAsStream(polled.Descriptor, out error);
        }
        finally
        {
            _batch.Release();
        }

        if (sent < 0)
        {
            return IsGone(error) ? -1 : 0;
        }

        int done = 0;
        for (nint left = sent; left > 0; done++)
        {
            int length = _lengthSize + frames[done].Length;
            if (left < length)
            {
                KeepRest(frames[done], (int)left);
            }

            left -= length;
        }

        return done;
    }

    /// <summary>A frame of which the host has taken the beginning is ours now.</summary>
    private void KeepRest(NetFrame frame, int sent)
    {
        int length = _lengthSize + frame.Length;
        if (_unsent.Length < length)
        {
            _unsent = new byte[length];
        }

        StreamLength.Write(framing, _unsent, frame.Length);
        frame.CopyTo(_unsent.AsSpan(_lengthSize));
        (_unsentStart, _unsentEnd) = (sent, length);
    }

    private bool TryRead(out bool hasEnded)
    {
        if (_received.Length - _end < MaximumFrame)
        {
            _received.AsSpan(_start, _end - _start).CopyTo(_received);
            (_start, _end) = (0, _end - _start);
        }

        nint read = Socket.Receive(polled.Descriptor, _received.AsSpan(_end), _received.Length - _end, Socket.DoNotWait);
        int error = read < 0 ? Marshal.GetLastPInvokeError() : 0;
        hasEnded = read == 0 || (read < 0 && error is not (Errno.Again or Errno.Interrupted));
        IsDrained = error == Errno.Again;
        _end += (int)Math.Max(read, 0);
        return read > 0;
    }

    /// <summary>Takes the next frame that is here whole.</summary>
    private bool TryTake(out ReadOnlySpan<byte> frame)
    {
        while (true)
        {
            int skipped = (int)Math.Min(_skip, _end - _start);
            (_start, _skip) = (_start + skipped, _skip - skipped);
            frame = default;
            if (_skip != 0 || _end - _start < _lengthSize)
            {
                return false;
            }

            uint length = StreamLength.Read(framing, _received.AsSpan(_start));
            if (length > MaximumFrame)
            {
                _start += _lengthSize;
                _skip = length;
                Dropped++;
                continue;
            }

            if (_end - _start - _lengthSize < length)
            {
                return false;
            }

            frame = _received.AsSpan(_start + _lengthSize, (int)length);
            _start += _lengthSize + (int)length;
            return true;
        }
    }
}
