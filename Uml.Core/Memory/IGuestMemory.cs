using System.Buffers;
using System.Diagnostics.CodeAnalysis;

namespace Uml.Core.Memory;

/// <summary>
/// The guest's RAM as devices, loaders and tests see it: guest-physical, without paging. RAM below the
/// 32-bit device hole and RAM above 4 GiB are one memory with a gap; an access never spans the gap.
/// </summary>
/// <remarks>
/// A write to bytes that the guest has executed drops what was decoded from them. Members may be called from the machine's thread, or from
/// any thread while the machine is not running. What <see cref="TryLease"/> and <see cref="TryLeaseReadOnly"/> give may be used, and
/// disposed, on any thread while the guest runs.
/// </remarks>
public interface IGuestMemory
{
    /// <summary>Bytes of RAM.</summary>
    ulong Size { get; }

    /// <summary>The ranges of guest-physical space that are RAM, in ascending order.</summary>
    IReadOnlyList<GuestMemoryRange> Ranges { get; }

    /// <summary>Copies from guest RAM.</summary>
    /// <returns>False, with <paramref name="destination"/> untouched, when any byte lies outside RAM.</returns>
    bool TryRead(GuestPhysicalAddress address, Span<byte> destination);

    /// <summary>Copies to guest RAM.</summary>
    /// <returns>False, with RAM untouched, when any byte lies outside RAM.</returns>
    bool TryWrite(GuestPhysicalAddress address, ReadOnlySpan<byte> source);

    /// <summary>Zeroes guest RAM. Whole pages are returned to the host, where possible, until the guest touches them again.</summary>
    /// <returns>False, with RAM untouched, when any byte lies outside RAM.</returns>
    bool TryClear(GuestPhysicalAddress address, int length);

    /// <summary>
    /// Gives access to guest RAM for reading without a copy: across an <c>await</c>, on any thread, and while the guest runs, which may
    /// change it meanwhile.
    /// </summary>
    /// <param name="address">The first byte.</param>
    /// <param name="length">Bytes, 0 or more.</param>
    /// <param name="lease">
    /// The memory, until it is disposed. It remains valid when the machine is disposed before, and has to be disposed then too: guest RAM
    /// is freed with the last lease.
    /// </param>
    /// <returns>False when any byte lies outside RAM.</returns>
    bool TryLeaseReadOnly(GuestPhysicalAddress address, int length, [NotNullWhen(true)] out IReadOnlyMemoryOwner? lease);

    /// <summary>Gives access to guest RAM for writing without a copy, as <see cref="TryLeaseReadOnly"/> does for reading.</summary>
    /// <remarks>
    /// Disposing the lease completes the write: it counts as a write to all of the range, and code that the guest has executed from there
    /// is fetched again. So dispose it before you notify the guest of the data, by a completion posted to the machine's thread or a write
    /// to its memory. Code fetched before that may be old, new or both mixed, as on a processor whose memory a device writes to. Each lease
    /// costs an allocation and a lock: for a few bytes take <see cref="TryRead"/> and <see cref="TryWrite"/>, for repeated requests
    /// <see cref="CreateTransfer"/>.
    /// </remarks>
    /// <param name="address">The first byte.</param>
    /// <param name="length">Bytes, 0 or more.</param>
    /// <param name="lease">The memory, until it is disposed.</param>
    /// <returns>False when any byte lies outside RAM.</returns>
    bool TryLease(GuestPhysicalAddress address, int length, [NotNullWhen(true)] out IMemoryOwner<byte>? lease);

    /// <summary>Makes what a device needs for a request under way: guest RAM in pieces, again and again without an allocation.</summary>
    IGuestMemoryTransfer CreateTransfer();
}

/// <summary>Memory to be read, until it is disposed.</summary>
public interface IReadOnlyMemoryOwner : IDisposable
{
    /// <summary>The memory.</summary>
    /// <exception cref="ObjectDisposedException">It was disposed.</exception>
    ReadOnlyMemory<byte> Memory { get; }
}

/// <summary>One contiguous range of guest-physical RAM.</summary>
/// <param name="Start">First byte.</param>
/// <param name="Length">Length in bytes.</param>
public readonly record struct GuestMemoryRange(GuestPhysicalAddress Start, ulong Length);
