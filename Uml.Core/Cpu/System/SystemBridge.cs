using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Uml.Core.Cpu;

/// <summary>What became of an access to a model-specific register that the processor itself does not hold.</summary>
internal enum MsrOutcome
{
    /// <summary>No device claims the index.</summary>
    Unclaimed,

    /// <summary>A device carried it out.</summary>
    Done,

    /// <summary>A device claims the index and refuses the access: #GP(0).</summary>
    Refused,
}

/// <summary>Things a guest did that are worth one line in the log, once each.</summary>
internal enum SystemReport
{
    /// <summary>RDMSR of an index nobody knows; the detail is the index.</summary>
    UnknownMsrRead,

    /// <summary>WRMSR of an index nobody knows; the detail is the index.</summary>
    UnknownMsrWrite,

    /// <summary>A hardware task switch, which is not implemented; the detail is the selector or, for an IDT entry, the vector.</summary>
    TaskSwitch,
}

/// <summary>
/// The managed side of a virtual CPU as system instructions see it: the bus, the clock, the CPU model. Implemented by the owner behind
/// <see cref="CpuState.OwnerHandle"/>; called on the machine's thread.
/// </summary>
internal interface ISystemBridge
{
    /// <summary>Reads an I/O port.</summary>
    /// <param name="port">Port number.</param>
    /// <param name="size">1, 2 or 4 bytes; the caller keeps port + size within 64 Ki.</param>
    uint ReadPort(ushort port, int size);

    /// <summary>Writes an I/O port; see <see cref="ReadPort"/>.</summary>
    void WritePort(ushort port, int size, uint value);

    /// <summary>Reads a model-specific register of a device.</summary>
    MsrOutcome ReadMsr(uint index, out ulong value);

    /// <summary>Writes a model-specific register of a device.</summary>
    MsrOutcome WriteMsr(uint index, ulong value);

    /// <summary>The CPU model.</summary>
    CpuidTable Cpuid { get; }

    /// <summary>The time-stamp counter before IA32_TSC_ADJUST.</summary>
    ulong ReadTsc();

    /// <summary>CR8: the local APIC's task-priority class, 0 to 15.</summary>
    byte TaskPriority { get; set; }

    /// <summary>IA32_APIC_BASE says that the local APIC is enabled.</summary>
    bool IsLocalApicEnabled { get; }

    /// <summary>What RDRAND and RDSEED draw from.</summary>
    IEntropySource Entropy { get; }

    /// <summary>Logs a report unless the same one was logged before.</summary>
    void ReportOnce(SystemReport report, ulong detail);
}

/// <summary>Finds the bridge of a CPU state.</summary>
internal static unsafe class SystemBridge
{
    // SAFETY: the owner allocates OwnerHandle before the first instruction runs and frees it after the last; its target implements the bridge.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ISystemBridge Of(CpuState* s) => Unsafe.As<ISystemBridge>(GCHandle.FromIntPtr(s->OwnerHandle).Target!);
}
