namespace Uml.Core.Sandbox;

/// <summary>What a <see cref="DeviceSandbox"/> has that a machine's own options do not tell.</summary>
public sealed class DeviceSandboxOptions
{
    /// <summary>The number of virtual CPUs, at least 1.</summary>
    public int ProcessorCount { get; set; } = 1;

    /// <summary>Guest time when the devices are attached, in nanoseconds.</summary>
    public ulong StartNanoseconds { get; set; }
}
