namespace Uml.Core.Cpu.State;

/// <summary>Bits of <see cref="EngineState.Poll"/>.</summary>
[Flags]
internal enum Attention
{
    None = 0,

    /// <summary>The local APIC drives INTR.</summary>
    Interrupt = 1,

    /// <summary>A non-maskable interrupt is pending.</summary>
    Nmi = 2,

    /// <summary>The machine's thread has something to do: posted actions, a due timer, pause, stop.</summary>
    Machine = 4,

    /// <summary>TF, an enabled breakpoint or an interrupt shadow: the engine goes instruction by instruction.</summary>
    SingleStep = 8,
}

/// <summary>Why a handler returned null.</summary>
internal enum ExitCode
{
    /// <summary>The block ended; <see cref="CpuState.Rip"/> says where to go on.</summary>
    BlockEnd,

    /// <summary>An exception at the current operation: RIP is that instruction's, its effects are undone.</summary>
    Exception,

    /// <summary>An exception whose RIP is already in <see cref="CpuState.Rip"/>.</summary>
    ExceptionAtRip,

    /// <summary>Budget used up or <see cref="EngineState.Poll"/> set; <see cref="CpuState.Rip"/> is exact and nothing of the next block ran.</summary>
    Attention,

    /// <summary>HLT retired; <see cref="CpuState.Rip"/> is behind it.</summary>
    Halt,

    /// <summary>A triple fault.</summary>
    Shutdown,
}
