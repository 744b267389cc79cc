namespace Uml.Devices.Consoles;

/// <summary>A bounded queue of bytes. Not safe for several threads: its user holds a lock.</summary>
internal sealed class ByteRing(int capacity)
{
    private readonly byte[] _bytes = new byte[capacity];
    private int _start;

    public int Count { get; private set; }

    public int Free => _bytes.Length - Count;

    /// <summary>Appends what fits.</summary>
    /// <returns>The number of bytes appended.</returns>
    public int Write(ReadOnlySpan<byte> source)
    {
        int accepted = Math.Min(source.Length, Free);
        int end = (_start + Count) % _bytes.Length;
        int first = Math.Min(accepted, _bytes.Length - end);
        source[..first].CopyTo(_bytes.AsSpan(end));
        source[first..accepted].CopyTo(_bytes);
        Count += accepted;
        return accepted;
    }

    /// <summary>Takes the oldest bytes.</summary>
    /// <returns>The number of bytes taken.</returns>
    public int Read(Span<byte> destination)
    {
        int taken = Math.Min(destination.Length, Count);
        int first = Math.Min(taken, _bytes.Length - _start);
        _bytes.AsSpan(_start, first).CopyTo(destination);
        _bytes.AsSpan(0, taken - first).CopyTo(destination[first..]);
        _start = (_start + taken) % _bytes.Length;
        Count -= taken;
        return taken;
    }
}
