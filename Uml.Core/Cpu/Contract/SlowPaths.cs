using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Contract;

/// <summary>
/// Entry points of the slow paths, which translated code calls through stubs. A slow path takes the state, the return address of the call
/// (which identifies the site) and the address register.
/// </summary>
// SAFETY: the pointers are to static methods of Runtime. Emitted stubs call them with the state, the return address of a call that is
// followed by its site, and the address register.
internal unsafe struct SlowPaths
{
    /// <summary>
    /// Return values: continue behind the call, or exit from translated code. Any other value is the address to continue at.
    /// </summary>
    public const nint Continue = 0, Leave = 1;

    /// <summary>Finds the operand of a memory access; returns its address.</summary>
    public delegate* unmanaged<CpuState*, byte*, ulong, nint> Access;
    public delegate* unmanaged<CpuState*, byte*, ulong, nint> Commit, Handle, HandleAside, Lookup, Link, CheckPage, Specialize, Reenter, Interpret, PrepareX87;

    /// <summary>Reports a fault of emitted code.</summary>
    public delegate* unmanaged<CpuState*, void> Fault;
}
