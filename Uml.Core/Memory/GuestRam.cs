using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Interop;

namespace Uml.Core.Memory;

/// <summary>What the engine knows about one page of guest RAM.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct PageInfo
{
    /// <summary>One bit for each 64 bytes of the page that translated code was made from.</summary>
    public ulong CodeMask;

    /// <summary>Blocks with bytes in this page.</summary>
    public Block* FirstBlock;

    /// <summary>Where emitted code finds the next field.</summary>
    public const int MayBeWriteMappedOffset = 16;

    /// <summary>A translation buffer may hold a write tag for this page.</summary>
    public bool MayBeWriteMapped;

    /// <summary>How many blocks there are in the list.</summary>
    public ushort Blocks;
}

/// <summary>Told when something other than the CPU writes to bytes that translated code was made from.</summary>
internal interface ICodeObserver
{
    /// <param name="ramOffset">First byte, as an offset into RAM.</param>
    /// <param name="length">Bytes, at least 1, within one page.</param>
    void CodeOverwritten(ulong ramOffset, int length);
}

/// <summary>Guest RAM: one host mapping, split around the device hole below 4 GiB.</summary>
internal sealed unsafe class GuestRam : IGuestMemory, IDisposable
{
    public const int PageSize = 4096;

    private readonly HostMemory _memory;
    private readonly HostMemory _pages;

    public GuestRam(ulong size)
    {
        ArgumentOutOfRangeException.ThrowIfZero(size);
        ArgumentOutOfRangeException.ThrowIfNotEqual(size % PageSize, 0UL, nameof(size));
        Size = size;
        _memory = new HostMemory(size);
        _pages = new HostMemory(size / PageSize * (ulong)sizeof(PageInfo));
        LowEnd = Math.Min(size, GuestMemoryLayout.DeviceHoleStart);
        HighEnd = size > GuestMemoryLayout.DeviceHoleStart ? GuestMemoryLayout.HighRamStart + (size - GuestMemoryLayout.DeviceHoleStart) : GuestMemoryLayout.HighRamStart;
        Ranges = size > GuestMemoryLayout.DeviceHoleStart
            ? [new(new(0), GuestMemoryLayout.DeviceHoleStart), new(new(GuestMemoryLayout.HighRamStart), size - GuestMemoryLayout.DeviceHoleStart)]
            : [new(new(0), size)];
    }

    public ulong Size { get; }

    public IReadOnlyList<GuestMemoryRange> Ranges { get; }

    /// <summary>Host address of the first byte of RAM.</summary>
    public byte* Base => _memory.Pointer;

    /// <summary>End of the RAM that starts at address 0.</summary>
    public ulong LowEnd { get; private set; }

    /// <summary>End of the RAM that starts at 4 GiB; 4 GiB when there is none.</summary>
    public ulong HighEnd { get; private set; }

    public PageInfo* Pages => (PageInfo*)_pages.Pointer;

    public ICodeObserver? CodeObserver { get; set; }

    public bool TryRead(GuestPhysicalAddress address, Span<byte> destination)
    {
        if (!TryGetReadOnlySpan(address, destination.Length, out ReadOnlySpan<byte> span))
        {
            return false;
        }

        span.CopyTo(destination);
        return true;
    }

    public bool TryWrite(GuestPhysicalAddress address, ReadOnlySpan<byte> source)
    {
        if (!TryGetSpan(address, source.Length, out Span<byte> span))
        {
            return false;
        }

        source.CopyTo(span);
        return true;
    }

    public bool TryGetReadOnlySpan(GuestPhysicalAddress address, int length, out ReadOnlySpan<byte> span)
    {
        if (!TryGetOffset(address.Value, length, out ulong offset))
        {
            span = default;
            return false;
        }

        // SAFETY: offset + length lies within the mapping, which lives as long as the machine.
        span = new ReadOnlySpan<byte>(Base + offset, length);
        return true;
    }

    public bool TryGetSpan(GuestPhysicalAddress address, int length, out Span<byte> span)
    {
        if (!TryGetOffset(address.Value, length, out ulong offset))
        {
            span = default;
            return false;
        }

        DropCode(offset, length);

        // SAFETY: as above.
        span = new Span<byte>(Base + offset, length);
        return true;
    }

    /// <summary>The offset into RAM of a guest-physical range, when all of it is RAM.</summary>
    /// <exception cref="ObjectDisposedException">The machine was disposed, and its RAM with it.</exception>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryGetOffset(ulong physical, int length, out ulong offset)
    {
        if (physical < LowEnd)
        {
            offset = physical;
            return length >= 0 && (ulong)length <= LowEnd - physical;
        }

        offset = physical - GuestMemoryLayout.HighRamStart + GuestMemoryLayout.DeviceHoleStart;
        if (physical >= GuestMemoryLayout.HighRamStart && physical < HighEnd)
        {
            return length >= 0 && (ulong)length <= HighEnd - physical;
        }

        ObjectDisposedException.ThrowIf(Base == null, typeof(IGuestMemory));
        return false;
    }

    private void DropCode(ulong offset, int length)
    {
        ICodeObserver? observer = CodeObserver;
        if (observer is null)
        {
            return;
        }

        while (length > 0)
        {
            int part = (int)Math.Min((ulong)length, PageSize - (offset % PageSize));
            if (Pages[offset / PageSize].CodeMask != 0)
            {
                observer.CodeOverwritten(offset, part);
            }

            offset += (ulong)part;
            length -= part;
        }
    }

    public void Dispose()
    {
        // From here on no address is RAM: whoever still holds the machine must not reach memory that others may be given.
        LowEnd = 0;
        HighEnd = GuestMemoryLayout.HighRamStart;
        _memory.Dispose();
        _pages.Dispose();
    }
}
