using Uml.Net.Frames;

namespace Uml.Net.Packets;

/// <summary>Some bytes of a frame, where they are.</summary>
internal readonly ref struct FrameData
{
    private readonly ReadOnlySpan<Memory<byte>> _pieces;
    private readonly int _start;

    /// <summary>Bytes of a frame from a place on, as many as given, all of which it has.</summary>
    public FrameData(NetFrame frame, int start, int length)
        : this(frame.Pieces, start, length)
    {
    }

    private FrameData(ReadOnlySpan<Memory<byte>> pieces, int start, int length)
    {
        while (pieces.Length != 0 && start >= pieces[0].Length)
        {
            start -= pieces[0].Length;
            pieces = pieces[1..];
        }

        _pieces = pieces;
        _start = start;
        Length = length;
    }

    public int Length { get; }

    /// <summary>The first bytes that are in one piece.</summary>
    public ReadOnlySpan<byte> First
    {
        get
        {
            Enumerator pieces = GetEnumerator();
            return pieces.MoveNext() ? pieces.Current : default;
        }
    }

    /// <summary>Some of the bytes.</summary>
    public FrameData Slice(int start, int length) => new(_pieces, _start + start, length);

    /// <summary>Copies all, or what there is room for.</summary>
    public void CopyTo(Span<byte> destination)
    {
        foreach (ReadOnlySpan<byte> span in this)
        {
            int part = Math.Min(span.Length, destination.Length);
            span[..part].CopyTo(destination);
            destination = destination[part..];
        }
    }

    public Enumerator GetEnumerator() => new(this);

    /// <summary>Goes through the bytes, piece by piece; none is empty.</summary>
    public ref struct Enumerator(FrameData data)
    {
        private ReadOnlySpan<Memory<byte>> _pieces = data._pieces;
        private int _start = data._start, _left = data.Length;

        public ReadOnlySpan<byte> Current { get; private set; }

        public bool MoveNext()
        {
            while (_left > 0 && _pieces.Length != 0)
            {
                ReadOnlySpan<byte> piece = _pieces[0].Span[_start..];
                _pieces = _pieces[1..];
                _start = 0;
                if (piece.Length != 0)
                {
                    Current = piece[..Math.Min(piece.Length, _left)];
                    _left -= Current.Length;
                    return true;
                }
            }

            return false;
        }
    }
}
