using Uml.Net.Frames;

namespace Uml.Net.Transports.Descriptors;

/// <summary>Changes frames where they are. For what is rare: each call begins at the first piece.</summary>
internal static class FramePieces
{
    /// <summary>Copies a frame into the room of another.</summary>
    /// <returns>False when it is longer than that.</returns>
    public static bool TryMove(NetFrame source, NetFrame destination)
    {
        if (source.Length > destination.Capacity)
        {
            return false;
        }

        destination.Length = source.Length;
        destination.Offload = source.Offload;
        Copy(source, 0, destination);
        return true;
    }

    /// <summary>Removes a frame's first bytes; the others move to its beginning.</summary>
    public static void RemoveFirst(NetFrame frame, int count)
    {
        Copy(frame, count, frame);
        frame.Length -= count;
    }

    /// <summary>Inserts bytes; the others move behind them.</summary>
    /// <returns>False when there is no room.</returns>
    public static bool TryInsert(NetFrame frame, int at, ReadOnlySpan<byte> data)
    {
        if (frame.Capacity - frame.Length < data.Length)
        {
            return false;
        }

        Span<byte> part = stackalloc byte[512];
        int left = frame.Length - at;
        frame.Length += data.Length;
        while (left > 0)
        {
            // From the end, as it moves to the right.
            int count = Math.Min(left, part.Length);
            left -= count;
            frame.CopyTo(part[..count], at + left);
            frame.Write(at + left + data.Length, part[..count]);
        }

        frame.Write(at, data);
        return true;
    }

    private static void Copy(NetFrame source, int start, NetFrame destination)
    {
        Span<byte> part = stackalloc byte[512];
        for (int done = 0; start + done < source.Length;)
        {
            int count = source.CopyTo(part, start + done);
            destination.Write(done, part[..count]);
            done += count;
        }
    }
}
