using Uml.Core.Boot;
using Uml.Core.Cpu;
using Uml.Core.Machine;

namespace Uml.Hosting;

/// <summary>A machine as configuration spells it: see <c>AddVirtualMachine</c> with a configuration section. Keys that are not here are refused.</summary>
/// <remarks>A setting that is null leaves the machine's former value.</remarks>
public sealed class MachineSettings
{
    /// <summary>Guest memory with a suffix B, K, M or G, such as <c>256M</c>; null leaves the default.</summary>
    public string? Memory { get; set; }

    /// <summary>
    /// The path of the kernel, or the name of its package, such as <c>linux-image-cloud-amd64</c>, which is fetched when the machine starts
    /// (<see cref="NamedFile"/> distinguishes the two); null leaves the default.
    /// </summary>
    public string? Kernel { get; set; }

    /// <summary>The boot protocol; null leaves the default (<see cref="BootOptions.Protocol"/>).</summary>
    public BootProtocol? Protocol { get; set; }

    /// <summary>The path of the initial RAM disk, or <c>busybox-static</c>, an image with a shell; null leaves the default.</summary>
    public string? Initrd { get; set; }

    /// <summary>The kernel's command line, in which disks may have UML's names (<see cref="Uml.Hosting.CommandLine.UmlDeviceNames"/>); null leaves the default.</summary>
    public string? CommandLine { get; set; }

    /// <summary>Where guest time comes from; null leaves the default (<see cref="MachineOptions.ClockMode"/>).</summary>
    public ClockMode? ClockMode { get; set; }

    /// <summary>What a guest's reboot does; null leaves the default (<see cref="MachineOptions.OnReboot"/>).</summary>
    public RebootAction? OnReboot { get; set; }

    /// <summary>What the guest's calendar shows when the machine starts, such as <c>2030-01-02T03:04:05Z</c>; null leaves the default.</summary>
    public DateTimeOffset? StartTime { get; set; }

    /// <summary>The seed of RDRAND and RDSEED; null leaves the default (<see cref="MachineOptions.RandomSeed"/>).</summary>
    public ulong? Seed { get; set; }

    /// <summary>How guest code is executed; null leaves the default (<see cref="CpuOptions.Engine"/>).</summary>
    public CpuEngine? Engine { get; set; }

    /// <summary>The processor that the guest sees; null leaves the default (<see cref="CpuOptions.Model"/>).</summary>
    public CpuModel? CpuModel { get; set; }

    /// <summary>Whether translated code is checked before it runs; null leaves the default (<see cref="CpuOptions.TranslationCheck"/>).</summary>
    public TranslationCheck? TranslationCheck { get; set; }
}
