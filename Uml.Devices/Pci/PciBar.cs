using Uml.Core.Bus;

namespace Uml.Devices.Pci;

/// <summary>The kinds of base address registers (PCI Local Bus Specification 3.0, 6.2.5.1).</summary>
public enum PciBarKind
{
    /// <summary>Memory below 4 GiB.</summary>
    Memory32,

    /// <summary>Memory anywhere; takes two registers.</summary>
    Memory64,

    /// <summary>I/O ports.</summary>
    Ports,
}

/// <summary>A base address register and what answers behind it.</summary>
public sealed class PciBar
{
    /// <summary>The register, 0 to 5.</summary>
    public required int Index { get; init; }

    /// <summary>Its size: a power of two; at least 16 bytes of memory, 4 to 256 ports.</summary>
    public required ulong Length { get; init; }

    /// <summary>The device behind it.</summary>
    public required IBusDevice Device { get; init; }

    /// <summary>Its kind.</summary>
    public PciBarKind Kind { get; init; }

    /// <summary>Whether reads of the memory have no side effects.</summary>
    public bool IsPrefetchable { get; init; }
}
