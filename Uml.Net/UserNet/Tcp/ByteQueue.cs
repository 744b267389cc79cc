using Uml.Net.Packets;

namespace Uml.Net.UserNet.Tcp;

/// <summary>
/// Bytes in order, in blocks: written behind its end, or at a distance behind that, and read from its start. Blocks are taken when something is
/// written to them and given back when all in front of their end is consumed.
/// </summary>
internal sealed class ByteQueue
{
    private readonly BlockPool _pool;
    private readonly byte[]?[] _blocks;
    private int _firstBlock, _start, _blockCount;

    /// <param name="pool">Where blocks come from.</param>
    /// <param name="limit">Bytes that it can hold.</param>
    public ByteQueue(BlockPool pool, int limit)
    {
        (_pool, Limit) = (pool, limit);

        // One more, as the first byte need not be the first of a block.
        _blocks = new byte[]?[((limit + BlockPool.BlockSize - 1) / BlockPool.BlockSize) + 1];
    }

    /// <summary>Bytes that it can hold.</summary>
    public int Limit { get; }

    /// <summary>Bytes in it, from its start without a gap.</summary>
    public int Length { get; private set; }

    public int Room => Limit - Length;

    /// <summary>The room behind its end that is in one piece, to be filled and then <see cref="Extend"/>ed over.</summary>
    /// <returns>Empty when it is full, or there is no memory.</returns>
    public Memory<byte> GetTail()
    {
        if (Room == 0)
        {
            return default;
        }

        int offset = _start + Length;
        byte[]? block = GetBlock(offset / BlockPool.BlockSize);
        int at = offset % BlockPool.BlockSize;
        return block is null ? default : block.AsMemory(at, Math.Min(BlockPool.BlockSize - at, Room));
    }

    /// <summary>Makes bytes behind its end part of it.</summary>
    public void Extend(int count) => Length += count;

    /// <summary>Writes bytes at a distance from its start, which the limit allows; it is as long as before.</summary>
    /// <returns>How many were written: fewer when there is no memory.</returns>
    public int Write(int offset, ReadOnlySpan<byte> bytes)
    {
        int done = 0;
        while (done < bytes.Length)
        {
            int place = _start + offset + done;
            if (GetBlock(place / BlockPool.BlockSize) is not { } block)
            {
                break;
            }

            int at = place % BlockPool.BlockSize;
            int part = Math.Min(BlockPool.BlockSize - at, bytes.Length - done);
            bytes.Slice(done, part).CopyTo(block.AsSpan(at));
            done += part;
        }

        return done;
    }

    /// <summary>Writes bytes as <see cref="Write(int, ReadOnlySpan{byte})"/> does.</summary>
    public int Write(int offset, FrameData data)
    {
        int done = 0;
        foreach (ReadOnlySpan<byte> span in data)
        {
            int written = Write(offset + done, span);
            done += written;
            if (written != span.Length)
            {
                break;
            }
        }

        return done;
    }

    /// <summary>The bytes from a place on that are in one piece.</summary>
    /// <param name="offset">Bytes from its start.</param>
    /// <param name="length">Bytes wanted, at most.</param>
    public Memory<byte> Read(int offset, int length)
    {
        length = Math.Min(length, Length - offset);
        if (length <= 0)
        {
            return default;
        }

        int place = _start + offset;
        int at = place % BlockPool.BlockSize;
        return _blocks[IndexOf(place / BlockPool.BlockSize)]!.AsMemory(at, Math.Min(BlockPool.BlockSize - at, length));
    }

    /// <summary>Removes bytes from its start.</summary>
    /// <param name="count">How many.</param>
    /// <param name="mayHoldMore">Whether there are bytes behind its end, which keep their blocks when it becomes empty.</param>
    public void Consume(int count, bool mayHoldMore = false)
    {
        Length -= count;
        _start += count;
        for (; _start >= BlockPool.BlockSize; _start -= BlockPool.BlockSize)
        {
            ReturnBlock(_firstBlock);
            _firstBlock = (_firstBlock + 1) % _blocks.Length;
        }

        if (Length == 0 && !mayHoldMore)
        {
            Clear();
        }
    }

    /// <summary>Forgets everything and gives all blocks back.</summary>
    public void Clear()
    {
        for (int i = 0; i < _blocks.Length && _blockCount != 0; i++)
        {
            ReturnBlock(i);
        }

        (_firstBlock, _start, Length) = (0, 0, 0);
    }

    private int IndexOf(int number) => (_firstBlock + number) % _blocks.Length;

    private byte[]? GetBlock(int number)
    {
        ref byte[]? block = ref _blocks[IndexOf(number)];
        if (block is null)
        {
            block = _pool.TryRent(isFirst: _blockCount == 0);
            _blockCount += block is null ? 0 : 1;
        }

        return block;
    }

    private void ReturnBlock(int index)
    {
        if (_blocks[index] is { } block)
        {
            _blocks[index] = null;
            _blockCount--;
            _pool.Return(block);
        }
    }
}
