using Uml.Core.Boot;
using Uml.Core.Cpu;
using Uml.Core.Memory;

namespace Uml.Core.Machine;

/// <summary>Options of a machine; bound and validated like any other options.</summary>
public sealed class MachineOptions
{
    /// <summary>The smallest <see cref="MemorySize"/>: 1 MiB, below which not even flat code and its tables fit.</summary>
    public const ulong MinimumMemorySize = 1UL << 20;

    /// <summary>The largest <see cref="MemorySize"/>: 512 GiB, what one page of page-directory pointers maps. A limit of ours.</summary>
    public const ulong MaximumMemorySize = BootMemoryLayout.MaximumRamBytes;

    /// <summary><see cref="MemorySize"/> is a multiple of a page, 4 KiB.</summary>
    public const ulong MemorySizeGranularity = GuestRam.PageSize;

    /// <summary>The machine's name in logs, metrics and messages. Default "uml".</summary>
    public string Name { get; set; } = "uml";

    /// <summary>
    /// Guest memory in bytes: <see cref="MinimumMemorySize"/> to <see cref="MaximumMemorySize"/>, a multiple of
    /// <see cref="MemorySizeGranularity"/>. The host provides pages as the guest touches them. Default 256 MiB.
    /// </summary>
    public ulong MemorySize { get; set; } = 256UL << 20;

    /// <summary>
    /// Guest memory can be mapped by other processes (it is a memfd of Linux). Default true. If false, or where the host has no such
    /// memory, it is anonymous: then the first touch of a page takes two thirds of the time, and transparent huge pages are used on hosts
    /// where they are always enabled.
    /// </summary>
    public bool ShareableMemory { get; set; } = true;

    /// <summary>Where guest time comes from.</summary>
    public ClockMode ClockMode { get; set; }

    /// <summary>
    /// What the guest's calendar shows when the machine starts. Default: the host's time, or in <see cref="ClockMode.Virtual"/>
    /// 2000-01-01 00:00 UTC, so that two runs see the same.
    /// </summary>
    public DateTimeOffset? StartTime { get; set; }

    /// <summary>
    /// The seed of RDRAND and RDSEED. Default: the host's randomness, or in <see cref="ClockMode.Virtual"/> a fixed seed.
    /// </summary>
    public ulong? RandomSeed { get; set; }

    /// <summary>What a guest's reboot does. Default: it ends the machine.</summary>
    public RebootAction OnReboot { get; set; }

    /// <summary>The virtual CPUs.</summary>
    public CpuOptions Cpu { get; set; } = new();
}

/// <summary>What happens when a guest asks for a reset.</summary>
public enum RebootAction
{
    /// <summary>The machine ends with <see cref="MachineExitReason.Reboot"/>.</summary>
    Stop,

    /// <summary>
    /// The machine boots again: devices and CPU are reset, and the kernel is loaded again; guest time continues, and RAM keeps its contents
    /// except where the loader writes. A machine without a kernel to boot ends. So does one whose kernel panicked, with
    /// <see cref="MachineExitReason.Panic"/>, when a <c>KernelPanicMonitor</c> watches its console.
    /// </summary>
    Reset,
}

/// <summary>Where guest time comes from.</summary>
public enum ClockMode
{
    /// <summary>Guest time follows the host's <see cref="TimeProvider"/>, and stands still while the machine is paused.</summary>
    Real,

    /// <summary>
    /// One retired instruction is one nanosecond, and idle time is skipped: a guest that gets no input runs the same to the
    /// instruction every time.
    /// </summary>
    Virtual,
}
