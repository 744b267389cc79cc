namespace Uml.Core;

/// <summary>What a machine is made of; bound and validated like any other options.</summary>
public sealed class MachineOptions
{
    /// <summary>The machine's name in logs and metrics. Default: a name derived from nothing but a counter of the builder's process is not used; "uml".</summary>
    public string Name { get; set; } = "uml";
}
