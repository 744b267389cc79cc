namespace Uml.Hosting;

/// <summary>What a host does with a machine that was registered with it.</summary>
public sealed class MachineHostOptions
{
    /// <summary>Whether the machine starts with the host. Default true.</summary>
    public bool StartWithHost { get; set; } = true;

    /// <summary>Whether the host stops when the machine ends by itself. Default false.</summary>
    public bool StopHostOnExit { get; set; }
}
