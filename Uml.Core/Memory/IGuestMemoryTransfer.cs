namespace Uml.Core.Memory;

/// <summary>
/// The guest RAM of one request at a time, in pieces, used again and again: what a device keeps for each of its requests under way. It is
/// to be read or written without a copy, across an <c>await</c>, on any thread and while the guest runs, and allocates nothing.
/// </summary>
/// <remarks>
/// <see cref="Begin"/>, <see cref="TryAdd"/> for each range, the pieces read or written, <see cref="Complete"/>: in this order. The first two
/// are for the machine's thread, or for any while the machine does not run; the rest for any one thread at a time. What
/// <see cref="IGuestMemory.TryLease"/> says of a lease holds for each piece, until the transfer is complete.
/// </remarks>
public interface IGuestMemoryTransfer
{
    /// <summary>Bytes that were added.</summary>
    int Length { get; }

    /// <summary>The ranges that were added, in order, some of them perhaps in several pieces. Valid until the transfer is complete.</summary>
    ReadOnlyMemory<Memory<byte>> Pieces { get; }

    /// <summary>Begins a request.</summary>
    /// <param name="toGuest">Whether the pieces are written, rather than read.</param>
    /// <exception cref="InvalidOperationException">The one before is not complete.</exception>
    /// <exception cref="ObjectDisposedException">The machine was disposed, and its RAM with it.</exception>
    void Begin(bool toGuest);

    /// <summary>Adds a range.</summary>
    /// <param name="address">The first byte.</param>
    /// <param name="length">Bytes, 0 or more.</param>
    /// <returns>False, with nothing added, when any byte lies outside RAM, or all ranges together would have more than 2,147,483,647 bytes.</returns>
    bool TryAdd(GuestPhysicalAddress address, int length);

    /// <summary>
    /// Ends the request: the pieces may not be used any more. When they were to be written, it counts as a write to all of them. Does nothing
    /// when no request is under way.
    /// </summary>
    void Complete();
}
