namespace Uml.Core.Cpu;

/// <summary>One virtual CPU: owns its unmanaged state and the engine that runs it.</summary>
internal sealed unsafe class VirtualCpu
{
}
