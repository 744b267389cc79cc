using Uml.Core.Bus;

namespace Uml.Devices.Pci;

/// <summary>What a base address register covers (PCI Local Bus Specification 3.0, 6.2.5.1).</summary>
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

    /// <summary>How much it covers: a power of two; of memory at least 16 bytes, of ports 4 to 256.</summary>
    public required ulong Length { get; init; }

    /// <summary>What answers.</summary>
    public required IBusDevice Device { get; init; }

    /// <summary>What it covers.</summary>
    public PciBarKind Kind { get; init; }

    /// <summary>Whether reads of the memory have no side effects.</summary>
    public bool IsPrefetchable { get; init; }
}
