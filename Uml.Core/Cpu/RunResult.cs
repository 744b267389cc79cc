namespace Uml.Core.Cpu;

/// <summary>Why a virtual CPU came back to the machine's loop.</summary>
internal enum RunResult
{
    /// <summary>Attention was requested.</summary>
    Attention,

    /// <summary>The instruction budget is used up.</summary>
    BudgetExhausted,

    /// <summary>The guest executed HLT and no interrupt is deliverable.</summary>
    Halted,

    /// <summary>A triple fault.</summary>
    Shutdown,
}
