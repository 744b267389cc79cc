using System.Buffers;
using System.Runtime.InteropServices;

namespace Uml.Core.Boot.Payload;

/// <summary>An output buffer that grows with what is written, never beyond its limit.</summary>
/// <remarks>
/// Its memory is the host's and not the garbage collector's: an unpacked kernel is tens of megabytes that are needed for a tenth of a
/// second, and would otherwise stay resident for as long as the machine runs. <see cref="Release"/> gives it back.
/// </remarks>
internal sealed unsafe class GrowingBuffer : MemoryManager<byte>
{
    private const int FirstBytes = 64 * 1024;
    private const int LargestBelievedHint = 64 * 1024 * 1024;

    private readonly int _maximumBytes;
    private readonly Block _block;
    private int _capacity;

    /// <summary>Creates an empty buffer.</summary>
    /// <param name="maximumBytes">The most bytes that it will hold.</param>
    /// <param name="expectedBytes">How many are expected; believed up to 64 MiB.</param>
    public GrowingBuffer(int maximumBytes, long expectedBytes)
    {
        _maximumBytes = maximumBytes;
        _capacity = (int)Math.Min(Math.Clamp(expectedBytes, FirstBytes, LargestBelievedHint), maximumBytes);

        // SAFETY: whoever asked for the bytes holds them until Release, so that neither it nor the finalizer frees them in use.
        _block = new Block(_capacity);
    }

    /// <summary>The bytes written so far. No more may be written after this was asked for.</summary>
    public ReadOnlyMemory<byte> Written => CreateMemory(Length);

    /// <summary>How many bytes are written.</summary>
    public int Length { get; private set; }

    /// <summary>The room behind the written bytes.</summary>
    public Span<byte> Free => new(_block.Bytes + Length, _capacity - Length);

    /// <summary>Gives back the memory of bytes that came from a buffer; other bytes are left alone.</summary>
    public static void Release(ReadOnlyMemory<byte> bytes)
    {
        if (MemoryMarshal.TryGetMemoryManager(bytes, out GrowingBuffer? buffer))
        {
            ((IDisposable)buffer).Dispose();
        }
    }

    /// <summary>Makes room.</summary>
    /// <param name="count">The bytes wanted.</param>
    /// <returns>The bytes there is room for: as wanted, or less where the limit is near.</returns>
    public int Reserve(int count)
    {
        int allowed = Math.Min(count, _maximumBytes - Length);
        if (_capacity - Length < allowed)
        {
            long doubled = Math.Max(_capacity * 2L, Length + (long)allowed);
            _capacity = (int)Math.Min(doubled, _maximumBytes);
            _block.Resize(_capacity);
        }

        return allowed;
    }

    /// <summary>Counts bytes as written that were put into <see cref="Free"/>.</summary>
    /// <param name="count">How many.</param>
    public void Advance(int count)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, _capacity - Length);
        Length += count;
    }

    /// <inheritdoc/>
    public override Span<byte> GetSpan() => new(_block.Bytes, Length);

    /// <inheritdoc/>
    public override MemoryHandle Pin(int elementIndex = 0) => new(_block.Bytes + elementIndex);

    /// <inheritdoc/>
    public override void Unpin()
    {
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        _block.Dispose();
        _capacity = 0;
        Length = 0;
    }

    /// <summary>Native memory that a buffer abandoned by an exception leaves to the finalizer.</summary>
    private sealed class Block(int size) : IDisposable
    {
        ~Block() => NativeMemory.Free(Bytes);

        public byte* Bytes { get; private set; } = (byte*)NativeMemory.Alloc((nuint)size);

        public void Resize(int newSize) => Bytes = (byte*)NativeMemory.Realloc(Bytes, (nuint)newSize);

        public void Dispose()
        {
            NativeMemory.Free(Bytes);
            Bytes = null;
            GC.SuppressFinalize(this);
        }
    }
}
