using Uml.Net.Frames;
using Uml.Net.Packets;
using Uml.Net.Polling;

namespace Uml.Net.InProcess;

/// <summary>
/// What has arrived at one end of a link, or a port of a switch, and was not received yet. Work that the receiver does not accept is done when
/// a frame arrives.
/// </summary>
internal sealed class FrameInbox
{
    /// <summary>The smallest buffer: room for one frame that is cut into as many segments as there may be.</summary>
    public const int MinimumSize = 512 << 10, MaximumSize = 1 << 30;

    private readonly Lock _lock = new();
    private readonly FrameRing _ring;
    private readonly int _mtuFrame;
    private readonly FrameSegmenter _segmenter = new();
    private readonly NetFrame _segment = new();
    private readonly byte[] _segmentHeader = new byte[FrameLayout.HeadLength];
    private readonly NetSignal _arrived = new(continueInline: false);
    private NetOffloads _accepted;
    private long _lost;
    private bool _isWaitedFor, _isClosed;

    /// <param name="bufferSize">Bytes of frames that may wait; rounded up to a power of two.</param>
    /// <param name="mtu">Bytes of the data of a frame that was cut, or need not be.</param>
    public FrameInbox(int bufferSize, int mtu)
    {
        _ring = new FrameRing((int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)bufferSize));
        _mtuFrame = mtu + NetTransportFeatures.FrameOverhead;
    }

    /// <summary>Frames that were lost: there was no room, or they were wrong.</summary>
    public long Lost => Volatile.Read(ref _lost);

    /// <summary>Set when there is room again, after <see cref="Deliver"/> found none.</summary>
    public NetSignal HasRoom { get; } = new(continueInline: false);

    public void Accept(NetOffloads offloads) => _accepted = offloads;

    /// <summary>Takes frames, in order, until there is no room.</summary>
    /// <returns>How many it took.</returns>
    public int Deliver(ReadOnlySpan<NetFrame> frames)
    {
        lock (_lock)
        {
            int taken = 0;
            int position = 0;
            while (taken < frames.Length && TryAdd(frames[taken], ref position))
            {
                taken++;
            }

            Publish(position);
            if (taken == frames.Length)
            {
                return taken;
            }

            // What the reader has taken since is seen here, or it sees that somebody waits.
            Volatile.Write(ref _isWaitedFor, true);
            Interlocked.MemoryBarrier();
            position = 0;
            while (taken < frames.Length && TryAdd(frames[taken], ref position))
            {
                taken++;
            }

            Publish(position);
            return taken;
        }
    }

    /// <summary>Takes frames as long as there is room for each; the others are lost.</summary>
    public void DeliverOrLose(ReadOnlySpan<NetFrame> frames)
    {
        lock (_lock)
        {
            int position = 0;
            foreach (NetFrame frame in frames)
            {
                if (!TryAdd(frame, ref position))
                {
                    Interlocked.Increment(ref _lost);
                }
            }

            Publish(position);
        }
    }

    /// <summary>Gives what has arrived to the receiver.</summary>
    public int Receive(ReadOnlySpan<NetFrame> frames)
    {
        int count = 0;
        int taken = 0;
        for (; count < frames.Length && _ring.TryTake(frames[count], out bool fits); taken++)
        {
            count += fits ? 1 : 0;
        }

        if (taken != count)
        {
            Interlocked.Add(ref _lost, taken - count);
        }

        // What is written below is seen by a sender that found no room, or what it says by us.
        Interlocked.MemoryBarrier();
        if (taken != 0 && Volatile.Read(ref _isWaitedFor))
        {
            Volatile.Write(ref _isWaitedFor, false);
            HasRoom.Set();
        }

        return count;
    }

    /// <summary>Waits until something has arrived.</summary>
    public ValueTask<bool> WaitAsync(CancellationToken cancellationToken) =>
        _ring.IsEmpty || Volatile.Read(ref _isClosed) ? _arrived.WaitAsync(cancellationToken) : new ValueTask<bool>(true);

    /// <summary>Ends all waits.</summary>
    public void Close()
    {
        Volatile.Write(ref _isClosed, true);
        _arrived.Close();
        HasRoom.Close();
    }

    private void Publish(int position)
    {
        if (position != 0)
        {
            _ring.Publish(position);
            _arrived.Set();
        }
    }

    /// <summary>Adds a frame, complete as far as the receiver wants it.</summary>
    /// <returns>False when there is no room.</returns>
    private bool TryAdd(NetFrame frame, ref int position)
    {
        if (frame.Length > NetTransportFeatures.LongestFrame)
        {
            Interlocked.Increment(ref _lost);
            return true;
        }

        NetOffload offload = frame.Offload;
        if ((offload.Required & ~_accepted) == 0)
        {
            return TryAddWhole(frame, offload, ref position);
        }

        return offload.Segmentation == NetSegmentation.None ? TryAddCompleted(frame, ref position) : TryAddSegments(frame, ref position);
    }

    private bool TryAddWhole(NetFrame frame, NetOffload offload, ref int position)
    {
        int size = FrameRing.SizeOf(frame.Length);
        if (offload.Segmentation == NetSegmentation.None && frame.Length > _mtuFrame)
        {
            Interlocked.Increment(ref _lost);
            return true;
        }

        if (!_ring.HasRoom(position + size, size))
        {
            return false;
        }

        _ring.Add(frame, offload, ref position);
        return true;
    }

    private bool TryAddCompleted(NetFrame frame, ref int position)
    {
        int size = FrameRing.SizeOf(frame.Length);
        if (frame.Length > _mtuFrame || !FrameChecksum.TryCompute(frame, out int field, out ushort checksum))
        {
            Interlocked.Increment(ref _lost);
            return true;
        }

        if (!_ring.HasRoom(position + size, size))
        {
            return false;
        }

        FrameChecksum.Write(_ring.Add(frame, new NetOffload { Flags = NetOffload.DataIsValid }, ref position), field, checksum);
        return true;
    }

    private bool TryAddSegments(NetFrame frame, ref int position)
    {
        if (!_segmenter.TryBegin(frame) || _segmenter.HeaderLength + frame.Offload.SegmentSize > _mtuFrame)
        {
            Interlocked.Increment(ref _lost);
            return true;
        }

        int size = FrameRing.SizeOf(_segmenter.HeaderLength + frame.Offload.SegmentSize);
        if (!_ring.HasRoom(position + (_segmenter.Count * size), size))
        {
            return false;
        }

        while (!_segmenter.IsDone)
        {
            _segmenter.MakeNext(_segment, _segmentHeader);
            _ring.Add(_segment, new NetOffload { Flags = NetOffload.DataIsValid }, ref position);
        }

        return true;
    }
}
