using Uml.Core.Bus;
using Uml.Core.Clock;

namespace Uml.Core.Cpu;

/// <summary>A virtual CPU as the machine's loop drives it. The loop is tested with scripted ones.</summary>
internal interface ICpuRunner : IProcessor, IGuestExecution, IDisposable
{
    /// <summary>What was counted so far. Called between two calls of <see cref="Run"/>.</summary>
    CpuStatistics GetStatistics();

    /// <summary>The architectural state.</summary>
    ProcessorRegisters Registers { get; }

    /// <summary>Whether the machine has a board that interrupts come from.</summary>
    bool HasLocalApic { get; }

    /// <summary>Whether it is halted and has no interrupt pending that it has not polled.</summary>
    bool IsHalted { get; }

    /// <summary>Whether an interrupt could end a halt: RFLAGS.IF is set, or something is pending already.</summary>
    bool CanBeWoken { get; }

    /// <summary>
    /// Runs until the budget is used up, an exit or a request; retires at least one instruction unless it is halted or attention was
    /// requested.
    /// </summary>
    /// <param name="instructionBudget">The most instructions to retire, at least 1.</param>
    RunResult Run(long instructionBudget);

    /// <summary>Sets the state after power-on. Called between two calls of <see cref="Run"/>.</summary>
    void Reset();
}
