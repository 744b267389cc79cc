namespace Uml.Net.Frames;

/// <summary>
/// A frame that is sent, or the room that one is received into: an Ethernet frame from its destination address to the end of its data, without
/// a check sequence, in one or several pieces of memory. Used again and again, so that none is made for a packet.
/// </summary>
/// <remarks>The pieces belong to the caller of a transport, who leaves them alone during the call. Not for several threads at once.</remarks>
public sealed class NetFrame
{
    private Memory<byte>[] _pieces = new Memory<byte>[4];
    private int _count;

    /// <summary>Makes a frame without memory.</summary>
    public NetFrame()
    {
    }

    /// <summary>Makes a frame of one piece, all of which it has.</summary>
    /// <param name="piece">The piece.</param>
    public NetFrame(Memory<byte> piece)
    {
        Add(piece);
        Length = piece.Length;
    }

    /// <summary>The pieces, in order; any may be empty.</summary>
    public ReadOnlySpan<Memory<byte>> Pieces => _pieces.AsSpan(0, _count);

    /// <summary>Bytes of all pieces.</summary>
    public int Capacity { get; private set; }

    /// <summary>Bytes of the frame: the first of the pieces. A transport that receives sets it.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is not 0 to <see cref="Capacity"/>.</exception>
    public int Length
    {
        get;
        set
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(value, Capacity);
            field = value;
        }
    }

    /// <summary>What is left to do for it.</summary>
    public NetOffload Offload { get; set; }

    /// <summary>Forgets the pieces, and with them the frame.</summary>
    public void Clear()
    {
        Array.Clear(_pieces, 0, _count);
        (_count, Capacity, Offload) = (0, 0, default);
        Length = 0;
    }

    /// <summary>Adds a piece behind the others. The frame is as long as before.</summary>
    /// <param name="piece">The piece.</param>
    /// <exception cref="OverflowException">The pieces have more than 2,147,483,647 bytes together.</exception>
    public void Add(Memory<byte> piece)
    {
        Capacity = checked(Capacity + piece.Length);
        if (_count == _pieces.Length)
        {
            Array.Resize(ref _pieces, 2 * _count);
        }

        _pieces[_count++] = piece;
    }

    /// <summary>Adds pieces behind the others. The frame is as long as before.</summary>
    /// <param name="pieces">The pieces.</param>
    /// <exception cref="OverflowException">The pieces have more than 2,147,483,647 bytes together.</exception>
    public void Add(ReadOnlySpan<Memory<byte>> pieces)
    {
        foreach (Memory<byte> piece in pieces)
        {
            Add(piece);
        }
    }

    /// <summary>Adds part of another frame's memory behind the pieces, and has no more than what they hold then.</summary>
    /// <param name="source">The other frame.</param>
    /// <param name="start">Bytes of it that are left out before.</param>
    /// <param name="length">Bytes; its capacity has as many behind <paramref name="start"/>.</param>
    internal void AddPart(NetFrame source, int start, int length)
    {
        foreach (Memory<byte> piece in source.Pieces)
        {
            if (length == 0)
            {
                break;
            }

            if (start >= piece.Length)
            {
                start -= piece.Length;
                continue;
            }

            int part = Math.Min(piece.Length - start, length);
            Add(piece.Slice(start, part));
            start = 0;
            length -= part;
        }

        Length = Capacity;
    }

    /// <summary>Copies the frame, or the part of it that has room.</summary>
    /// <param name="destination">Where to.</param>
    /// <param name="start">Bytes of the frame that are left out before.</param>
    /// <returns>Bytes that were copied.</returns>
    public int CopyTo(Span<byte> destination, int start = 0)
    {
        int wanted = Math.Clamp(Length - start, 0, destination.Length);
        int done = 0;
        foreach (Memory<byte> piece in Pieces)
        {
            if (done == wanted)
            {
                break;
            }

            if (start >= piece.Length)
            {
                start -= piece.Length;
                continue;
            }

            int part = Math.Min(piece.Length - start, wanted - done);
            piece.Span.Slice(start, part).CopyTo(destination[done..]);
            done += part;
            start = 0;
        }

        return done;
    }

    /// <summary>Writes bytes into the pieces, all of which there is room for; the frame is as long as before.</summary>
    /// <param name="start">Bytes of the pieces that are left alone before.</param>
    /// <param name="source">What to write.</param>
    internal void Write(int start, ReadOnlySpan<byte> source)
    {
        foreach (Memory<byte> piece in Pieces)
        {
            if (start >= piece.Length)
            {
                start -= piece.Length;
                continue;
            }

            int part = Math.Min(piece.Length - start, source.Length);
            source[..part].CopyTo(piece.Span[start..]);
            source = source[part..];
            if (source.IsEmpty)
            {
                return;
            }

            start = 0;
        }
    }

    /// <summary>Takes a frame that was received, if there is room for all of it.</summary>
    /// <param name="source">The frame.</param>
    /// <returns>False, with nothing changed, when it is longer than <see cref="Capacity"/>.</returns>
    public bool TryCopyFrom(ReadOnlySpan<byte> source)
    {
        if (source.Length > Capacity)
        {
            return false;
        }

        Length = source.Length;
        Write(0, source);
        return true;
    }
}
