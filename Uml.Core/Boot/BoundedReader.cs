namespace Uml.Core.Boot;

/// <summary>Reads streams of unknown length into memory without trusting the size they report.</summary>
internal static class BoundedReader
{
    // Bytes read between two checks for cancellation: the slowest decompressor takes some milliseconds for them.
    private const int ChunkBytes = 256 * 1024;

    /// <summary>Reads to the end of the stream.</summary>
    /// <param name="stream">The stream.</param>
    /// <param name="maximumBytes">The most bytes to take.</param>
    /// <param name="expectedBytes">How many are expected; a hint.</param>
    /// <param name="cancellationToken">Ends the reading between two chunks.</param>
    /// <param name="bytes">All bytes of the stream.</param>
    /// <returns>False when the stream has more than the limit.</returns>
    public static bool TryReadAll(
        Stream stream, int maximumBytes, long expectedBytes, CancellationToken cancellationToken, out ReadOnlyMemory<byte> bytes)
    {
        using GrowingBuffer buffer = new(maximumBytes, expectedBytes);
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();

            // At the expected length the end is looked for before the buffer grows.
            if (buffer.Room.IsEmpty && stream.ReadByte() is int next)
            {
                if (next < 0)
                {
                    break;
                }

                if (buffer.Reserve(ChunkBytes) == 0)
                {
                    bytes = default;
                    return false;
                }

                buffer.Room[0] = (byte)next;
                buffer.Advance(1);
                continue;
            }

            int read = stream.Read(buffer.Room[..Math.Min(buffer.Room.Length, ChunkBytes)]);
            if (read == 0)
            {
                break;
            }

            buffer.Advance(read);
        }

        bytes = buffer.HandOver();
        return true;
    }
}
