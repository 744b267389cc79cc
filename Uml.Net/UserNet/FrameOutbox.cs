using System.Buffers;
using Uml.Net.Frames;

namespace Uml.Net.UserNet;

/// <summary>Frames that wait to be received by the card: all but those of TCP, which are made when there is room for them. Bounded: what does not fit is lost.</summary>
internal sealed class FrameOutbox
{
    private const int MaximumFrames = 1024, MaximumBytes = 2 << 20;

    private readonly Queue<(byte[] Buffer, int Length)> _frames = new(64);
    private int _bytes;

    public bool IsEmpty => _frames.Count == 0;

    /// <summary>Frames that were lost.</summary>
    public long Lost { get; private set; }

    /// <summary>Takes a buffer for a frame.</summary>
    /// <returns>Null, with the frame counted as lost, where too much waits.</returns>
    public byte[]? TryRent(int length)
    {
        if (_frames.Count == MaximumFrames || _bytes + length > MaximumBytes)
        {
            Lost++;
            return null;
        }

        return ArrayPool<byte>.Shared.Rent(length);
    }

    /// <summary>Adds a frame in a buffer that was rented.</summary>
    public void Add(byte[] buffer, int length)
    {
        _bytes += length;
        _frames.Enqueue((buffer, length));
    }

    /// <summary>Moves the first frame into its room; one that is longer is lost.</summary>
    /// <returns>Whether it had room.</returns>
    public bool MoveTo(NetFrame frame)
    {
        (byte[] buffer, int length) = _frames.Dequeue();
        _bytes -= length;
        bool fits = frame.TryCopyFrom(buffer.AsSpan(0, length));
        frame.Offload = default;
        Lost += fits ? 0 : 1;
        ArrayPool<byte>.Shared.Return(buffer);
        return fits;
    }
}
