namespace Uml.Storage.Blocks;

/// <summary>A block device in memory, for tests and for disks that nobody keeps. Memory is taken by what was written, in pieces of 1 MiB.</summary>
public sealed class MemoryBlockDevice : IBlockDevice, IFlushable, IDiscardable, IZeroable, IResizable, INonBlocking, IExtentMap
{
    private const int PieceSize = 1 << 20;

    private readonly Lock _lock = new();
    private readonly OpenState _state = new("A device in memory");
    private byte[]?[] _pieces;

    /// <summary>Makes a device of zeroes.</summary>
    /// <param name="length">Bytes, a multiple of 512.</param>
    /// <param name="isReadOnly">Whether writes are refused.</param>
    /// <exception cref="ArgumentOutOfRangeException">The length is negative or no multiple of 512.</exception>
    public MemoryBlockDevice(long length, bool isReadOnly = false)
    {
        IsReadOnly = isReadOnly;
        _pieces = new byte[]?[CountPieces(length)];
        Length = length;
    }

    /// <inheritdoc/>
    public event EventHandler? Resized;

    /// <inheritdoc/>
    public long Length { get; private set; }

    /// <inheritdoc/>
    public bool IsReadOnly { get; }

    /// <inheritdoc/>
    public BlockLimits Limits => BlockLimits.Default;

    /// <inheritdoc/>
    public bool ReadNeverWaits(long offset, int length) => true;

    /// <inheritdoc/>
    public bool WriteNeverWaits(long offset, int length) => true;

    /// <inheritdoc/>
    public ValueTask ReadAsync(long offset, BlockBuffers buffers, CancellationToken cancellationToken = default)
    {
        _state.Check(cancellationToken);
        lock (_lock)
        {
            BlockRange.Check(this, offset, buffers.Length);
            for (int done = 0; done < buffers.Length;)
            {
                (byte[]? piece, int start, int length) = Find(offset + done, buffers.Length - done);
                BlockBuffers part = buffers.Slice(done, length);
                if (piece is null)
                {
                    part.Clear();
                }
                else
                {
                    part.CopyFrom(piece.AsSpan(start, length));
                }

                done += length;
            }
        }

        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public ValueTask WriteAsync(long offset, BlockBuffers buffers, CancellationToken cancellationToken = default)
    {
        _state.Check(cancellationToken);
        lock (_lock)
        {
            BlockRange.CheckWrite(this, offset, buffers.Length);
            for (int done = 0; done < buffers.Length;)
            {
                (byte[]? piece, int start, int length) = Find(offset + done, buffers.Length - done);
                piece ??= _pieces[(offset + done) / PieceSize] = new byte[PieceSize];
                buffers.Slice(done, length).CopyTo(piece.AsSpan(start, length));
                done += length;
            }
        }

        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public ValueTask FlushAsync(CancellationToken cancellationToken = default)
    {
        _state.Check(cancellationToken);
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public ValueTask DiscardAsync(long offset, long length, CancellationToken cancellationToken = default) =>
        WriteZeroesAsync(offset, length, mayDiscard: true, cancellationToken);

    /// <inheritdoc/>
    public ValueTask WriteZeroesAsync(long offset, long length, bool mayDiscard, CancellationToken cancellationToken = default)
    {
        _state.Check(cancellationToken);
        lock (_lock)
        {
            BlockRange.CheckWrite(this, offset, length);
            Clear(offset, length);
        }

        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public ValueTask ResizeAsync(long length, CancellationToken cancellationToken = default)
    {
        _state.Check(cancellationToken);
        lock (_lock)
        {
            int count = CountPieces(length);
            if (length < Length)
            {
                Clear(length, Length - length);
            }

            Array.Resize(ref _pieces, count);
            Length = length;
        }

        Resized?.Invoke(this, EventArgs.Empty);
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public ValueTask<BlockExtent> FindExtentAsync(long offset, long length, CancellationToken cancellationToken = default)
    {
        _state.Check(cancellationToken);
        ArgumentOutOfRangeException.ThrowIfZero(length);
        lock (_lock)
        {
            BlockRange.Check(this, offset, length);
            (byte[]? piece, int _, int count) = Find(offset, length);
            return ValueTask.FromResult(new BlockExtent(count, IsZero: piece is null));
        }
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        if (_state.TryClose())
        {
            lock (_lock)
            {
                Array.Clear(_pieces);
            }
        }

        return ValueTask.CompletedTask;
    }

    private static int CountPieces(long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfNotEqual(length % BlockLimits.SectorSize, 0, nameof(length));
        return checked((int)((length + PieceSize - 1) / PieceSize));
    }

    private (byte[]? Piece, int Start, int Length) Find(long offset, long length)
    {
        int start = (int)(offset % PieceSize);
        return (_pieces[offset / PieceSize], start, (int)Math.Min(length, PieceSize - start));
    }

    private void Clear(long offset, long length)
    {
        while (length > 0)
        {
            (byte[]? piece, int start, int count) = Find(offset, length);
            if (count == PieceSize)
            {
                _pieces[offset / PieceSize] = null;
            }
            else
            {
                piece?.AsSpan(start, count).Clear();
            }

            offset += count;
            length -= count;
        }
    }
}
