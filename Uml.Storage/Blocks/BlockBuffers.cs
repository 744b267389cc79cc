using System.Runtime.InteropServices;

namespace Uml.Storage.Blocks;

/// <summary>
/// The memory of one request, in one or several pieces: what a read fills, or a write takes. A value; slicing it allocates nothing.
/// </summary>
/// <remarks>The pieces belong to the caller, who leaves them alone until the request has ended.</remarks>
public readonly struct BlockBuffers
{
    private readonly Memory<byte> _single;

    /// <summary>The pieces; empty when <see cref="_single"/> is the only one.</summary>
    private readonly ReadOnlyMemory<Memory<byte>> _pieces;

    /// <summary>Bytes of the first piece that come before this.</summary>
    private readonly int _skip;

    /// <summary>Makes buffers of one piece.</summary>
    /// <param name="buffer">The piece.</param>
    public BlockBuffers(Memory<byte> buffer)
    {
        _single = buffer;
        Length = buffer.Length;
    }

    /// <summary>Makes buffers of several pieces, in this order.</summary>
    /// <param name="pieces">The pieces, which may be empty.</param>
    /// <exception cref="OverflowException">They have more than 2,147,483,647 bytes together.</exception>
    public BlockBuffers(ReadOnlyMemory<Memory<byte>> pieces)
    {
        _pieces = pieces;
        foreach (Memory<byte> piece in pieces.Span)
        {
            Length = checked(Length + piece.Length);
        }
    }

    private BlockBuffers(ReadOnlyMemory<Memory<byte>> pieces, int skip, int length) => (_pieces, _skip, Length) = (pieces, skip, length);

    /// <summary>Bytes of all pieces.</summary>
    public int Length { get; }

    /// <summary>Whether there is nothing.</summary>
    public bool IsEmpty => Length == 0;

    /// <summary>Pieces, of which any may be empty.</summary>
    public int Count => _pieces.IsEmpty ? 1 : _pieces.Length;

    /// <summary>A piece.</summary>
    /// <param name="index">0 to <see cref="Count"/> - 1.</param>
    public Memory<byte> this[int index]
    {
        get
        {
            if (_pieces.IsEmpty)
            {
                ArgumentOutOfRangeException.ThrowIfNotEqual(index, 0);
                return _single;
            }

            Memory<byte> piece = _pieces.Span[index];
            return index == 0 ? piece[_skip..] : piece;
        }
    }

    /// <summary>Buffers for a write, of one piece. The piece is not written to.</summary>
    /// <param name="buffer">What to write.</param>
    public static BlockBuffers OfReadOnly(ReadOnlyMemory<byte> buffer) => new(MemoryMarshal.AsMemory(buffer));

    /// <summary>Buffers of one piece.</summary>
    /// <param name="buffer">The piece.</param>
    public static implicit operator BlockBuffers(Memory<byte> buffer) => new(buffer);

    /// <summary>Buffers of one piece.</summary>
    /// <param name="buffer">The piece.</param>
    public static implicit operator BlockBuffers(byte[] buffer) => new(buffer);

    /// <summary>Buffers of one piece; see the implicit conversion.</summary>
    /// <param name="buffer">The piece.</param>
    public static BlockBuffers FromMemory(Memory<byte> buffer) => new(buffer);

    /// <summary>Part of the buffers.</summary>
    /// <param name="start">The first byte.</param>
    /// <param name="length">Bytes.</param>
    /// <exception cref="ArgumentOutOfRangeException">They do not lie within the buffers.</exception>
    public BlockBuffers Slice(int start, int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(start);
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(start, Length - length);
        if (_pieces.IsEmpty)
        {
            return new BlockBuffers(_single.Slice(start, length));
        }

        ReadOnlySpan<Memory<byte>> pieces = _pieces.Span;
        int first = 0;
        start += _skip;
        while (first < pieces.Length - 1 && start >= pieces[first].Length)
        {
            start -= pieces[first++].Length;
        }

        return length <= pieces[first].Length - start
            ? new BlockBuffers(pieces[first].Slice(start, length))
            : new BlockBuffers(_pieces[first..], start, length);
    }

    /// <summary>Copies out of the buffers.</summary>
    /// <param name="destination">Gets <see cref="Length"/> bytes; it must have room for them.</param>
    public void CopyTo(Span<byte> destination)
    {
        int done = 0;
        for (int i = 0; done < Length; i++)
        {
            Span<byte> piece = GetSpan(i, done);
            piece.CopyTo(destination[done..]);
            done += piece.Length;
        }
    }

    /// <summary>Fills the buffers.</summary>
    /// <param name="source">As many bytes as the buffers have.</param>
    public void CopyFrom(ReadOnlySpan<byte> source)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(source.Length, Length);
        int done = 0;
        for (int i = 0; done < Length; i++)
        {
            Span<byte> piece = GetSpan(i, done);
            source.Slice(done, piece.Length).CopyTo(piece);
            done += piece.Length;
        }
    }

    /// <summary>Zeroes the buffers.</summary>
    public void Clear()
    {
        int done = 0;
        for (int i = 0; done < Length; i++)
        {
            Span<byte> piece = GetSpan(i, done);
            piece.Clear();
            done += piece.Length;
        }
    }

    /// <summary>A piece, cut where the buffers end.</summary>
    /// <param name="index">The piece.</param>
    /// <param name="before">Bytes of the pieces before it.</param>
    private Span<byte> GetSpan(int index, int before)
    {
        Span<byte> piece = this[index].Span;
        return piece.Length > Length - before ? piece[..(Length - before)] : piece;
    }
}
