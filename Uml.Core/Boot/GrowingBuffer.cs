using System.Buffers;
using System.Runtime.InteropServices;
using Uml.Core.Interop;

namespace Uml.Core.Boot;

/// <summary>An output buffer that grows as it is written, up to a limit.</summary>
/// <remarks>
/// Its memory is the host's and not the garbage collector's: an unpacked kernel is tens of megabytes that are needed for a tenth of a
/// second, and would otherwise stay resident for as long as the machine runs. <see cref="Release"/> frees it.
/// </remarks>
internal sealed unsafe class GrowingBuffer : MemoryManager<byte>
{
    private const int FirstBytes = 64 * 1024;
    private const int LargestBelievedHint = 64 * 1024 * 1024;

    private readonly int _maximumBytes;
    private HostMemory _memory;
    private int _capacity;
    private bool _isHandedOver;

    /// <summary>Creates an empty buffer.</summary>
    /// <param name="maximumBytes">The most bytes that it will hold.</param>
    /// <param name="expectedBytes">How many are expected; trusted up to 64 MiB.</param>
    public GrowingBuffer(int maximumBytes, long expectedBytes)
    {
        _maximumBytes = maximumBytes;
        _capacity = (int)Math.Min(Math.Clamp(expectedBytes, FirstBytes, LargestBelievedHint), maximumBytes);

        // SAFETY: whoever asked for the bytes holds them until Release, so that neither it nor the finalizer frees them in use.
        _memory = new HostMemory((ulong)Math.Max(_capacity, 1));
    }

    /// <summary>How many bytes are written.</summary>
    public int Length { get; private set; }

    /// <summary>The room behind the written bytes.</summary>
    public Span<byte> Room => new(_memory.Pointer + Length, _capacity - Length);

    /// <summary>Hands the bytes written so far over to the caller, who gives them to <see cref="Release"/>. No more may be written.</summary>
    public ReadOnlyMemory<byte> HandOver()
    {
        _isHandedOver = true;
        return CreateMemory(Length);
    }

    /// <summary>Frees the memory of bytes that came from a buffer; does nothing for other bytes.</summary>
    public static void Release(ReadOnlyMemory<byte> bytes)
    {
        if (MemoryMarshal.TryGetMemoryManager(bytes, out GrowingBuffer? buffer))
        {
            buffer.Free();
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
            Grow();
        }

        return allowed;
    }

    /// <summary>Counts bytes as written that were put into <see cref="Room"/>.</summary>
    /// <param name="count">How many.</param>
    public void Advance(int count)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, _capacity - Length);
        Length += count;
    }

    /// <inheritdoc/>
    public override Span<byte> GetSpan() => new(_memory.Pointer, Length);

    /// <inheritdoc/>
    public override MemoryHandle Pin(int elementIndex = 0) => new(_memory.Pointer + elementIndex);

    /// <inheritdoc/>
    public override void Unpin()
    {
    }

    private void Grow()
    {
        HostMemory larger = new((ulong)_capacity);

        // SAFETY: both mappings have room for the bytes written so far.
        Buffer.MemoryCopy(_memory.Pointer, larger.Pointer, _capacity, Length);
        _memory.Dispose();
        _memory = larger;
    }

    /// <summary>
    /// The end of the scope that fills the buffer: frees the memory if it was not handed over, for example because the data was damaged.
    /// </summary>
    protected override void Dispose(bool disposing)
    {
        if (!_isHandedOver)
        {
            Free();
        }
    }

    private void Free()
    {
        _memory.Dispose();
        _capacity = 0;
        Length = 0;
    }
}
