namespace Uml.Core.Machine;

/// <summary>An address space of a machine.</summary>
public enum AddressSpaceKind
{
    /// <summary>Guest-physical memory.</summary>
    Memory,

    /// <summary>I/O ports.</summary>
    Ports,

    /// <summary>Model-specific registers.</summary>
    Msrs,
}

/// <summary>A range of addresses that a device has claimed.</summary>
/// <param name="Space">The address space.</param>
/// <param name="Start">The first address.</param>
/// <param name="Length">Their number.</param>
public readonly record struct DeviceClaim(AddressSpaceKind Space, ulong Start, ulong Length);
