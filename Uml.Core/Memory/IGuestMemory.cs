namespace Uml.Core.Memory;

/// <summary>
/// The guest's RAM as devices, loaders and tests see it: guest-physical, without paging. RAM below the
/// 32-bit device hole and RAM above 4 GiB are one memory with a gap; an access never spans the gap.
/// </summary>
/// <remarks>
/// Writes are seen by code the guest has already executed from the same bytes. Members may be called from
/// the machine's thread, or from any thread while the machine is not running.
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

    /// <summary>
    /// The host view of a range of guest RAM for reading without a copy. It stays valid until the machine is disposed.
    /// </summary>
    /// <returns>False when any byte lies outside RAM.</returns>
    bool TryGetReadOnlySpan(GuestPhysicalAddress address, int length, out ReadOnlySpan<byte> span);

    /// <summary>
    /// The host view of a range of guest RAM for writing without a copy. Guest code translated from the range is
    /// dropped now; call again for each batch of writes.
    /// </summary>
    /// <returns>False when any byte lies outside RAM.</returns>
    bool TryGetSpan(GuestPhysicalAddress address, int length, out Span<byte> span);
}

/// <summary>One contiguous range of guest-physical RAM.</summary>
/// <param name="Start">First byte.</param>
/// <param name="Length">Length in bytes.</param>
public readonly record struct GuestMemoryRange(GuestPhysicalAddress Start, ulong Length);
