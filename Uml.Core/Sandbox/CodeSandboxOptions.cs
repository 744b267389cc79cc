using Uml.Core.Cpu;

namespace Uml.Core.Sandbox;

/// <summary>Options of a <see cref="CodeSandbox"/>.</summary>
public sealed class CodeSandboxOptions
{
    /// <summary>The mode that code runs in. Default 64-bit.</summary>
    public CodeMode Mode { get; set; }

    /// <summary>Memory in bytes: 2 MiB to 1 GiB, a multiple of 4 KiB. Default 16 MiB.</summary>
    public ulong MemorySize { get; set; } = 16UL << 20;

    /// <summary>
    /// The processor that code sees; any but <see cref="CpuModel.Host"/> is the same on every host. Default:
    /// <see cref="CpuModel.Host"/>.
    /// </summary>
    public CpuModel Model { get; set; }

    /// <summary>How code is executed. Default: as of <see cref="CpuOptions.Engine"/>; code that runs once is interpreted by both.</summary>
    public CpuEngine Engine { get; set; } = new CpuOptions().Engine;

    /// <summary>Whether translated code is checked before it runs. Default: as of <see cref="CpuOptions.TranslationCheck"/>.</summary>
    public TranslationCheck TranslationCheck { get; set; } = new CpuOptions().TranslationCheck;

    /// <summary>Seeds RDRAND and RDSEED, so that every run is the same. Default 1.</summary>
    public ulong RandomSeed { get; set; } = 1;
}
