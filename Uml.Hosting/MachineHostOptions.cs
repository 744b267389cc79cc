namespace Uml.Hosting;

/// <summary>Options of a machine that is registered with a host.</summary>
public sealed class MachineHostOptions
{
    /// <summary>Whether the machine starts with the host. Default true.</summary>
    public bool StartWithHost { get; set; } = true;

    /// <summary>Whether the host stops when the machine ends by itself. Default false.</summary>
    public bool StopHostOnExit { get; set; }
}
