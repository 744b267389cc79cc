namespace Uml.Core.Boot;

/// <summary>
/// Guest RAM, as a boot loader accesses it. The loader accesses only addresses that the request's memory map marks as
/// <see cref="MemoryMapEntryType.Usable"/>.
/// </summary>
public interface IBootMemory
{
    /// <summary>Copies bytes into guest RAM. The loader comes in pieces of at most 16 MiB.</summary>
    /// <param name="physicalAddress">The guest-physical address of the first byte.</param>
    /// <param name="data">The bytes.</param>
    void Write(ulong physicalAddress, ReadOnlySpan<byte> data);

    /// <summary>Zeroes a range of guest RAM. The loader comes in pieces of at most 16 MiB.</summary>
    /// <param name="physicalAddress">The guest-physical address of the first byte.</param>
    /// <param name="length">The number of bytes.</param>
    void Clear(ulong physicalAddress, ulong length);
}
