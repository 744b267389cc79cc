using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Contract;

/// <summary>
/// What translated code calls for what it cannot do itself, by the stubs for it. A slow path takes the state, the return address of the
/// call (which tells the place) and the address register.
/// </summary>
// SAFETY: the pointers are to static methods of Runtime. Emitted stubs call them with the state, the return address of a call that is
// followed by its site, and the address register.
internal unsafe struct SlowPaths
{
    /// <summary>What they return to go on behind the call, or to leave translated code; anything else is an address to go on at.</summary>
    public const nint Continue = 0, Leave = 1;

    /// <summary>Finds the operand of a memory access; returns its address.</summary>
    public delegate* unmanaged<CpuState*, byte*, ulong, nint> Access;
    public delegate* unmanaged<CpuState*, byte*, ulong, nint> Commit, Handle, HandleAside, Lookup, Link, CheckPage, Specialize, Reenter, Interpret, PrepareX87;

    /// <summary>Reports a fault of emitted code.</summary>
    public delegate* unmanaged<CpuState*, void> Fault;
}
