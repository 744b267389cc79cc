using System.Runtime.InteropServices;
using Uml.Core.Bus;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.State;
using Uml.Core.Cpu;

namespace Uml.Core.Tests.Machine;

/// <summary>A CPU whose every Run is a step of a script; by default it runs its whole budget until asked for attention.</summary>
internal sealed unsafe class ScriptedCpu : ICpuRunner
{
    private readonly CpuState* _state;
    private volatile bool _attention;
    private int _disposed;

    public ScriptedCpu(int index = 0)
    {
        Index = index;
        // SAFETY: freed in Dispose, after the registers were told to forget it.
        _state = (CpuState*)NativeMemory.AllocZeroed((nuint)sizeof(ProcessorMemory));
        Registers = new ProcessorRegisters(_state);
    }

    /// <summary>Called by Run with the budget; retire by adding to <see cref="InstructionsRetired"/>.</summary>
    public Func<ScriptedCpu, long, RunResult>? Script { get; set; }

    public ulong InstructionsRetired { get; set; }

    /// <summary>What <see cref="GetStatistics"/> tells, but for the instructions.</summary>
    public CpuStatistics Statistics { get; set; }

    public ProcessorRegisters Registers { get; }

    public bool CanBeWoken { get; set; } = true;

    public bool IsDisposed => Volatile.Read(ref _disposed) != 0;

    public int Index { get; }

    /// <summary>Whether the last run ended so and no interrupt has come since.</summary>
    public bool IsHalted { get; private set; }

    public bool AttentionRequested => _attention;

    public RunResult Run(long instructionBudget)
    {
        Assert.That(instructionBudget, Is.Positive);
        if (_attention)
        {
            _attention = false;
            return RunResult.Attention;
        }

        if (Script is { } script)
        {
            IsHalted = false;
            RunResult result = script(this, instructionBudget);
            IsHalted = result == RunResult.Halted;
            return result;
        }

        InstructionsRetired += (ulong)instructionBudget;
        return RunResult.BudgetExhausted;
    }

    public CpuStatistics GetStatistics() => Statistics with { InstructionsRetired = InstructionsRetired };

    /// <summary>How often the machine reset it.</summary>
    public int Resets { get; private set; }

    public void Reset() => Resets++;

    public void RequestAttention() => _attention = true;

    public void SetInterruptRequest(bool asserted) => IsHalted &= !asserted;

    public void RaiseNmi()
    {
    }

    public bool HasLocalApic => false;

    public void ConnectLocalApic(ILocalApic? localApic)
    {
    }

    public void SetCpuid(uint leaf, CpuidValues? values)
    {
    }

    public void Dispose()
    {
        // A machine whose thread was left behind disposes it when that comes back, while its test ends.
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            Registers.Invalidate();
            NativeMemory.Free(_state);
        }
    }
}
