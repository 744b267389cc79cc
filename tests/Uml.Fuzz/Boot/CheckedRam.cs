using Uml.Core.Boot;

namespace Uml.Fuzz.Boot;

/// <summary>Guest RAM in which the loader may touch only what the memory map calls usable.</summary>
internal sealed class CheckedRam(byte[] bytes, IReadOnlyList<MemoryMapEntry> map) : IBootMemory
{
    public void Write(ulong physicalAddress, ReadOnlySpan<byte> data) => data.CopyTo(Range(physicalAddress, (ulong)data.Length));

    public void Clear(ulong physicalAddress, ulong length) => Range(physicalAddress, length).Clear();

    private Span<byte> Range(ulong address, ulong length)
    {
        // The map's neighbouring ranges of RAM count as one, as for the loader.
        ulong end = 0;
        bool contains = false;
        foreach (MemoryMapEntry entry in map)
        {
            if (entry.Type == MemoryMapEntryType.Usable)
            {
                contains = (contains && entry.Base == end) || (address >= entry.Base && address < entry.End);
                end = entry.End;
                if (contains && length <= end - address)
                {
                    return bytes.AsSpan((int)address, (int)length);
                }
            }
        }

        throw new InvalidOperationException($"The loader writes 0x{length:x} bytes at 0x{address:x}, which is not RAM.");
    }
}
