namespace Uml.Core.Cpu.State;

/// <summary>Why a register does not take a value: what a guest sees as #GP(0).</summary>
internal enum RegisterRefusal
{
    /// <summary>It takes it.</summary>
    None,

    /// <summary>There is no such register, or it cannot be written.</summary>
    NotWritable,

    /// <summary>A reserved bit is set.</summary>
    ReservedBits,

    /// <summary>The address is not canonical.</summary>
    NotCanonical,

    /// <summary>A byte is none of the memory types.</summary>
    MemoryType,

    /// <summary>Bits of the value exclude each other.</summary>
    Combination,

    /// <summary>A state component is set that the CPU model does not have, or one is missing that it needs, or that is always set.</summary>
    Components,

    /// <summary>It is no privilege level, which are 0 to 3.</summary>
    PrivilegeLevel,

    /// <summary>Other registers do not let the value change so now.</summary>
    State,
}
