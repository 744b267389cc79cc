namespace Uml.Core.Boot.Payload;

/// <summary>An output buffer that grows with what is written, never beyond its limit.</summary>
internal sealed class GrowingBuffer
{
    private const int FirstBytes = 64 * 1024;
    private const int LargestBelievedHint = 64 * 1024 * 1024;

    private readonly int _maximumBytes;
    private byte[] _bytes;
    private int _length;

    /// <summary>Creates an empty buffer.</summary>
    /// <param name="maximumBytes">The most bytes that it will hold.</param>
    /// <param name="expectedBytes">How many are expected; believed up to 64 MiB.</param>
    public GrowingBuffer(int maximumBytes, long expectedBytes)
    {
        _maximumBytes = maximumBytes;
        long believed = Math.Clamp(expectedBytes, FirstBytes, LargestBelievedHint);
        _bytes = GC.AllocateUninitializedArray<byte>((int)Math.Min(believed, maximumBytes));
    }

    /// <summary>The bytes written so far.</summary>
    public ReadOnlyMemory<byte> Written => _bytes.AsMemory(0, _length);

    /// <summary>How many bytes are written.</summary>
    public int Length => _length;

    /// <summary>The room behind the written bytes.</summary>
    public Span<byte> Free => _bytes.AsSpan(_length);

    /// <summary>Makes room.</summary>
    /// <param name="count">The bytes wanted.</param>
    /// <returns>The bytes there is room for: as wanted, or less where the limit is near.</returns>
    public int Reserve(int count)
    {
        int allowed = Math.Min(count, _maximumBytes - _length);
        if (_bytes.Length - _length < allowed)
        {
            long doubled = Math.Max(_bytes.Length * 2L, _length + (long)allowed);
            Array.Resize(ref _bytes, (int)Math.Min(doubled, _maximumBytes));
        }

        return allowed;
    }

    /// <summary>Counts bytes as written that were put into <see cref="Free"/>.</summary>
    /// <param name="count">How many.</param>
    public void Advance(int count)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, _bytes.Length - _length);
        _length += count;
    }
}
