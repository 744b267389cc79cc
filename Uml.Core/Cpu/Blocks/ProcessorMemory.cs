using System.Runtime.InteropServices;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Blocks;

/// <summary>
/// The memory of a virtual CPU: what is architectural, and behind it what each part of the engine keeps. All of it is reached from a pointer
/// to the first; each part knows the one in front of it (<see cref="CpuState.Engine"/>, <see cref="PagingState.Of"/>, <see cref="BlockState.Of"/>).
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal struct ProcessorMemory
{
    public CpuState Cpu;
    public EngineState Engine;
    public PagingState Paging;
    public BlockState Blocks;
}
