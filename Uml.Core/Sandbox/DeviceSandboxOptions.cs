namespace Uml.Core.Sandbox;

/// <summary>Options of a <see cref="DeviceSandbox"/> that are not among a machine's.</summary>
public sealed class DeviceSandboxOptions
{
    /// <summary>The number of virtual CPUs, at least 1.</summary>
    public int ProcessorCount { get; set; } = 1;

    /// <summary>Guest time when the devices are attached, in nanoseconds.</summary>
    public ulong StartNanoseconds { get; set; }
}
