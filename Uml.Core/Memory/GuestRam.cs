using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Microsoft.Win32.SafeHandles;
using Uml.Core.Interop;

namespace Uml.Core.Memory;

/// <summary>Guest RAM: one host mapping, split around the device hole below 4 GiB.</summary>
internal sealed unsafe class GuestRam : IGuestMemory, IDisposable
{
    public const int PageSize = 4096;

    private readonly HostMemory _memory;
    private readonly HostMemory _pages;

    /// <summary>Makes RAM of anonymous memory, or of all of a file.</summary>
    public GuestRam(ulong size, SafeFileHandle? file = null)
    {
        ArgumentOutOfRangeException.ThrowIfZero(size);
        ArgumentOutOfRangeException.ThrowIfNotEqual(size % PageSize, 0UL, nameof(size));
        Size = size;
        File = file;
        _memory = new HostMemory(size, file);
        _pages = new HostMemory(size / PageSize * (ulong)sizeof(PageInfo));
        Writes = new GuestWrites(this);
        LowEnd = Math.Min(size, GuestMemoryLayout.DeviceHoleStart);
        HighEnd = size > GuestMemoryLayout.DeviceHoleStart ? GuestMemoryLayout.HighRamStart + (size - GuestMemoryLayout.DeviceHoleStart) : GuestMemoryLayout.HighRamStart;
        Ranges = size > GuestMemoryLayout.DeviceHoleStart
            ? [new(new(0), GuestMemoryLayout.DeviceHoleStart), new(new(GuestMemoryLayout.HighRamStart), size - GuestMemoryLayout.DeviceHoleStart)]
            : [new(new(0), size)];
    }

    public ulong Size { get; }

    public IReadOnlyList<GuestMemoryRange> Ranges { get; }

    /// <summary>
    /// The file that RAM is a mapping of, for other processes to map; null for anonymous memory. Their writes are not observed: a device
    /// that passes the file on holds a lease of the range.
    /// </summary>
    public SafeFileHandle? File { get; }

    /// <summary>Host address of the first byte of RAM.</summary>
    public byte* Base => _memory.Pointer;

    /// <summary>End of the RAM that starts at address 0.</summary>
    public ulong LowEnd { get; private set; }

    /// <summary>End of the RAM that starts at 4 GiB; 4 GiB when there is none.</summary>
    public ulong HighEnd { get; private set; }

    public PageInfo* Pages => (PageInfo*)_pages.Pointer;

    public ulong PageCount => Size / PageSize;

    /// <summary>The observers of writes.</summary>
    public GuestWrites Writes { get; }

    /// <summary>Makes RAM that others can map, where the host has such memory.</summary>
    /// <param name="size">Bytes.</param>
    /// <param name="refusal">Why RAM is anonymous memory; null when it is a file's.</param>
    /// <exception cref="InsufficientMemoryException">The host has not that much of either kind of memory.</exception>
    public static GuestRam Create(ulong size, out string? refusal)
    {
        refusal = OperatingSystem.IsLinux() ? null : "only Linux has it";
        if (refusal is null && CommitsStrictly())
        {
            refusal = "the host commits no more memory than it has (vm.overcommit_memory is 2), and would end the process when a page is missing";
        }

        SafeFileHandle? file = refusal is null ? MemoryFile.TryCreate("uml-ram", size, out refusal) : null;
        try
        {
            return new GuestRam(size, file);
        }
        catch
        {
            file?.Dispose();
            throw;
        }
    }

    public bool TryRead(GuestPhysicalAddress address, Span<byte> destination)
    {
        if (!TryGetOffset(address.Value, destination.Length, out ulong offset))
        {
            return false;
        }

        // SAFETY: offset + length lies within the mapping, which lives as long as the machine.
        new ReadOnlySpan<byte>(Base + offset, destination.Length).CopyTo(destination);
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

    public bool TryClear(GuestPhysicalAddress address, int length)
    {
        if (!TryGetOffset(address.Value, length, out ulong offset))
        {
            return false;
        }

        Writes.Note(offset, length);
        int head = (int)Math.Min((ulong)length, (PageSize - (offset % PageSize)) % PageSize);
        int whole = (length - head) & ~(PageSize - 1);

        // SAFETY: as above.
        Span<byte> span = new(Base + offset, length);
        span[..head].Clear();
        span[(head + whole)..].Clear();
        if (whole > 0)
        {
            _memory.Discard(offset + (ulong)head, (ulong)whole);
        }

        return true;
    }

    public bool TryLeaseReadOnly(GuestPhysicalAddress address, int length, [NotNullWhen(true)] out IReadOnlyMemoryOwner? lease)
    {
        lease = Lease(address, length, writes: null);
        return lease is not null;
    }

    public bool TryLease(GuestPhysicalAddress address, int length, [NotNullWhen(true)] out IMemoryOwner<byte>? lease)
    {
        lease = Lease(address, length, Writes);
        return lease is not null;
    }

    public IGuestMemoryTransfer CreateTransfer() => new GuestMemoryTransfer(this, _memory);

    /// <summary>A range of RAM that the caller writes at once: observers are notified now.</summary>
    public bool TryGetSpan(GuestPhysicalAddress address, int length, out Span<byte> span)
    {
        if (!TryGetOffset(address.Value, length, out ulong offset))
        {
            span = default;
            return false;
        }

        Writes.Note(offset, length);

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

        ThrowIfDisposed();
        return false;
    }

    /// <exception cref="ObjectDisposedException">The machine was disposed, and its RAM with it.</exception>
    public void ThrowIfDisposed() => ObjectDisposedException.ThrowIf(Base == null, typeof(IGuestMemory));

    public void Dispose()
    {
        // From now on no address is RAM, so that a caller who still holds the machine cannot access memory that was freed. Leases keep
        // their mapping.
        LowEnd = 0;
        HighEnd = GuestMemoryLayout.HighRamStart;
        _memory.Dispose();
        _pages.Dispose();
        File?.Dispose();
    }

    private GuestMemoryLease? Lease(GuestPhysicalAddress address, int length, GuestWrites? writes) =>
        TryGetOffset(address.Value, length, out ulong offset) ? new(_memory, offset, length, writes) : null;

    /// <summary>
    /// Under strict accounting (proc_sys_vm(5)) the host refuses an anonymous mapping that it cannot commit; a file's pages are committed
    /// one by one, and one that is not available raises SIGBUS.
    /// </summary>
    private static bool CommitsStrictly()
    {
        try
        {
            return System.IO.File.ReadAllText("/proc/sys/vm/overcommit_memory").Trim() == "2";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Unknown without /proc; it is not the default.
            return false;
        }
    }
}
