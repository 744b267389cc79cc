namespace Uml.Core;

/// <summary>The registers of one virtual CPU, for reading and writing while the machine is not running.</summary>
public sealed class ProcessorRegisters
{
}
