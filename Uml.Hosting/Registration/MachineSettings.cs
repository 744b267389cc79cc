using Uml.Core;
using Uml.Core.Boot;

namespace Uml.Hosting;

/// <summary>A machine as configuration spells it: see <c>AddVirtualMachine</c> with a configuration section.</summary>
public sealed class MachineSettings
{
    /// <summary>Guest memory with an optional suffix K, M or G, such as <c>256M</c>; null leaves the default.</summary>
    public string? Memory { get; set; }

    /// <summary>The path of the kernel; null boots none.</summary>
    public string? Kernel { get; set; }

    /// <summary>How the kernel is taken and entered. Default: by its own header.</summary>
    public BootProtocol Protocol { get; set; }

    /// <summary>The path of the initial RAM disk; null boots without.</summary>
    public string? Initrd { get; set; }

    /// <summary>The kernel's command line; null leaves the default.</summary>
    public string? CommandLine { get; set; }

    /// <summary>Where guest time comes from.</summary>
    public ClockMode ClockMode { get; set; }

    /// <summary>Whether translated code is checked before it runs; null leaves the default (<see cref="CpuOptions.TranslationCheck"/>).</summary>
    public TranslationCheck? TranslationCheck { get; set; }
}
