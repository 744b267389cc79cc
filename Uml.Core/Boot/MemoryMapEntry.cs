namespace Uml.Core.Boot;

/// <summary>The kind of an address range; the values are those of the E820 table (ACPI 6.5, section 15).</summary>
public enum MemoryMapEntryType
{
    /// <summary>RAM that the guest may use.</summary>
    Usable = 1,

    /// <summary>Not for the guest's use.</summary>
    Reserved = 2,

    /// <summary>RAM with ACPI tables, usable once they were read.</summary>
    AcpiReclaimable = 3,

    /// <summary>RAM that firmware keeps.</summary>
    AcpiNonVolatile = 4,
}

/// <summary>A range of the memory map that is passed to the guest.</summary>
/// <param name="Base">The first address.</param>
/// <param name="Length">The number of bytes, at least 1.</param>
/// <param name="Type">What the range is.</param>
public readonly record struct MemoryMapEntry(ulong Base, ulong Length, MemoryMapEntryType Type)
{
    /// <summary>The first address behind the range.</summary>
    public ulong End => Base + Length;
}
