using System.Runtime.InteropServices;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Blocks;

/// <summary>
/// The memory of a virtual CPU: the architectural state, followed by the state of each part of the engine. All of it is reached from a
/// pointer to the first part; each part finds itself behind the one in front of it (<see cref="CpuState.Engine"/>,
/// <see cref="PagingState.Of"/>, <see cref="BlockState.Of"/>).
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal struct ProcessorMemory
{
    public CpuState Cpu;
    public EngineState Engine;
    public PagingState Paging;
    public BlockState Blocks;
}
