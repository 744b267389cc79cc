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

    /// <summary>The machine's loop has work: posted actions, a due timer, pause, stop.</summary>
    Machine = 4,

    /// <summary>TF, an enabled breakpoint or an interrupt shadow: the engine runs single instructions.</summary>
    SingleStep = 8,
}

/// <summary>Why a handler returned null.</summary>
internal enum ExitCode
{
    /// <summary>The block ended; execution continues at <see cref="CpuState.Rip"/>.</summary>
    BlockEnd,

    /// <summary>An exception at the current operation, which has had no effect; RIP is to be set to that instruction.</summary>
    Exception,

    /// <summary>An exception whose RIP is already in <see cref="CpuState.Rip"/>.</summary>
    ExceptionAtRip,

    /// <summary>
    /// The budget is used up or <see cref="EngineState.Poll"/> is set; <see cref="CpuState.Rip"/> is that of the next block.
    /// </summary>
    Attention,

    /// <summary>HLT retired; <see cref="CpuState.Rip"/> is behind it.</summary>
    Halt,

    /// <summary>A triple fault.</summary>
    Shutdown,
}
