using System.Runtime.CompilerServices;
using Uml.Storage.Blocks;

namespace Uml.Storage.Nbd.Protocol;

/// <summary>Reads what the other side sends: headers and small data through a buffer, much at a time, and large data straight to its place.</summary>
internal sealed class NbdReader(Stream stream)
{
    /// <summary>What is at least read past the buffer: copying less is cheaper than another call. A choice of ours.</summary>
    private const int DirectSize = 16 << 10;

    private readonly Stream _stream = stream;
    private readonly byte[] _buffer = new byte[64 << 10];
    private int _start, _end;

    /// <summary>Bytes that have come and were not taken.</summary>
    public int Available => _end - _start;

    /// <summary>Waits until a number of bytes, at most 65536, can be taken.</summary>
    /// <exception cref="EndOfStreamException">The other side has closed the connection.</exception>
    public ValueTask FillAsync(int count, CancellationToken cancellationToken = default) =>
        Available >= count ? ValueTask.CompletedTask : FillSlowlyAsync(count, cancellationToken);

    /// <summary>
    /// Makes room for a number of bytes that are to be taken. A loop that waits for the next message reads into it by itself: that saves the state of
    /// one more method.
    /// </summary>
    public Memory<byte> Prepare(int count)
    {
        if (_buffer.Length - _start < count || _start == _end)
        {
            _buffer.AsSpan(_start, Available).CopyTo(_buffer);
            (_start, _end) = (0, Available);
        }

        return _buffer.AsMemory(_end);
    }

    /// <summary>Tells how much was read into the room.</summary>
    /// <exception cref="EndOfStreamException">It is nothing: the other side has closed the connection.</exception>
    public void Commit(int got) => _end += got > 0 ? got : throw Ended();

    /// <summary>Bytes that were waited for. Valid until the next call.</summary>
    public ReadOnlySpan<byte> Peek(int count) => _buffer.AsSpan(_start, count);

    /// <summary>Takes bytes that were waited for. Valid until the next call.</summary>
    public ReadOnlySpan<byte> Take(int count)
    {
        ReadOnlySpan<byte> bytes = Peek(count);
        _start += count;
        return bytes;
    }

    /// <summary>Fills buffers.</summary>
    /// <exception cref="EndOfStreamException">The other side has closed the connection.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask ReadAsync(BlockBuffers buffers, CancellationToken cancellationToken = default)
    {
        int left = buffers.Length;
        for (int i = 0; left > 0; i++)
        {
            Memory<byte> piece = buffers[i];
            piece = piece.Length > left ? piece[..left] : piece;
            left -= piece.Length;
            while (piece.Length > 0)
            {
                if (Available == 0 && piece.Length >= DirectSize)
                {
                    int got = await _stream.ReadAsync(piece, cancellationToken).ConfigureAwait(false);
                    piece = piece[(got > 0 ? got : throw Ended())..];
                    continue;
                }

                await FillAsync(1, cancellationToken).ConfigureAwait(false);
                int count = Math.Min(Available, piece.Length);
                Take(count).CopyTo(piece.Span);
                piece = piece[count..];
            }
        }
    }

    /// <summary>Leaves bytes out.</summary>
    /// <exception cref="EndOfStreamException">The other side has closed the connection.</exception>
    public async ValueTask SkipAsync(long count, CancellationToken cancellationToken = default)
    {
        while (count > 0)
        {
            await FillAsync(1, cancellationToken).ConfigureAwait(false);
            count -= Take((int)Math.Min(Available, count)).Length;
        }
    }

    private static EndOfStreamException Ended() => new("the connection was closed by the other side");

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask FillSlowlyAsync(int count, CancellationToken cancellationToken)
    {
        while (Available < count)
        {
            Commit(await _stream.ReadAsync(Prepare(count), cancellationToken).ConfigureAwait(false));
        }
    }
}
