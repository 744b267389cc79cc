using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;
using Uml.Core.Bus;
using Uml.Core.Clock;
using Uml.Core.Cpu.Interpreter;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.Semantics;
using Uml.Core.Interop;
using Uml.Core.Memory;

namespace Uml.Core.Cpu;

/// <summary>One virtual CPU: owns its unmanaged state, its translation buffers and decoded blocks, and runs them.</summary>
internal sealed unsafe partial class VirtualCpu : ICpuRunner
{
    /// <summary>
    /// Exceptions delivered in one <see cref="Run"/>. The limit is ours: a handler whose first instruction faults retires nothing, and
    /// the loop around this CPU has timers to look after.
    /// </summary>
    private const int MaximumDeliveries = 1 << 14;

    private readonly ILogger _logger;
    private readonly HostMemory _memory;
    private GCHandle _handle;
    private CpuState* _state;

    /// <summary>Instructions retired before the current call of <see cref="Run"/>, and the budget it was given.</summary>
    private ulong _retiredBefore;
    private long _budget;
    private bool _running;

    public VirtualCpu(int index, GuestRam ram, MachineBus bus, IMachineClock clock, CpuOptions options, ILogger logger)
    {
        Index = index;
        Bus = bus;
        Clock = clock;
        Ram = ram;
        _logger = logger;
        bool translate = options.Engine == CpuEngine.Jit;
        AddressSpaces = new AddressSpaces(translate);
        Blocks = new BlockCache(ram, options.CodeCacheSize);
        _memory = new HostMemory(CpuState.SignalStack + (ulong)sizeof(CpuState));
        _state = (CpuState*)(_memory.Pointer + CpuState.SignalStack);
        _handle = GCHandle.Alloc(this, GCHandleType.Weak);
        _state->HostMxcsr = SseFloat.DefaultMxcsr;
        _state->OwnerHandle = GCHandle.ToIntPtr(_handle);
        _state->RamBase = ram.Base;
        _state->RamLowEnd = ram.LowEnd;
        _state->RamHighEnd = ram.HighEnd;
        _state->Pages = ram.Pages;
        _state->JumpCache = Blocks.JumpCache;
        _state->Walks = AddressSpaces.Walks;
        Blocks.Counters = &_state->Counters;
        Registers = new ProcessorRegisters(_state);
        ram.Writes.Attach(this);
        ram.Writes.Subscribe(WatchReasons.Code, this);
        _systemLog = new SystemLog(logger);
        Cpuid = new CpuidTable(index, processorCount: 1, clock);
        ApplyModel(options.Model);
        if (options.RandomSeed is { } seed)
        {
            Entropy = new SeededEntropySource(seed);
        }

        if (translate)
        {
            RealTimeClock? hostTime = clock is RealTimeClock { FollowsHost: true } real && TimeStampCounter.IsOffered() ? real : null;
            try
            {
                Jit = Blocks.Jit = new JitEngine(options, AddressSpaces, _state, readsTime: hostTime is not null);
            }
            catch (InsufficientMemoryException)
            {
                Dispose();
                throw;
            }

            if (!Jit.CatchesFaults)
            {
                LogFaultsNotCaught(_logger, index);
            }

            _timeStamps = hostTime is null ? null : new TimeStampCounter(&_state->TimeStamps, hostTime, Jit.ReadHostTimeStamp);
        }

        CpuReset.PowerOn(_state);
    }

    public int Index { get; }

    public MachineBus Bus { get; }

    public IMachineClock Clock { get; }

    public GuestRam Ram { get; }

    public AddressSpaces AddressSpaces { get; }

    public BlockCache Blocks { get; }

    /// <summary>Translates what runs often; null in machines that interpret.</summary>
    public JitEngine? Jit { get; }

    public CpuState* State => _state;

    public ProcessorRegisters Registers { get; }

    /// <summary>Instructions retired since the machine was built; exact, also when a device asks from within <see cref="Run"/>.</summary>
    public ulong InstructionsRetired
    {
        get
        {
            if (!_running)
            {
                return _retiredBefore;
            }

            // The block that runs is counted as a whole already: take out what is still to come of it, this instruction included.
            CpuState* s = _state;
            long pending = s->CurrentOp == null ? 0 : s->CurrentBlock->Count - (s->CurrentOp - Block.Ops(s->CurrentBlock));
            return _retiredBefore + (ulong)(_budget - s->Remaining - s->Reserve - pending);
        }
    }

    public CpuStatistics GetStatistics()
    {
        ObjectDisposedException.ThrowIf(_state == null, this);
        return _state->Counters.ToStatistics(InstructionsRetired);
    }

    // SAFETY: the handle lives as long as the state, and the machine keeps its CPUs alive while they run.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static VirtualCpu From(CpuState* s) => Unsafe.As<VirtualCpu>(GCHandle.FromIntPtr(s->OwnerHandle).Target!);

    /// <summary>Runs until the budget is used up or something else ends it.</summary>
    /// <param name="instructionBudget">The most instructions to retire, at least 1.</param>
    public RunResult Run(long instructionBudget)
    {
        CpuState* s = _state;
        _budget = instructionBudget;
        s->Remaining = instructionBudget;
        s->CurrentOp = null;
        Volatile.Write(ref _running, true);
        Interlocked.MemoryBarrier();
        Ram.Writes.TakeCompleted();
        RunResult result = Jit is null ? RunCore(s) : RunTranslated(s, Jit);
        s->CurrentOp = null;
        StopTimeStamps();
        _retiredBefore = InstructionsRetired;
        Volatile.Write(ref _running, false);
        return result;
    }

    public void Dispose()
    {
        if (_state == null)
        {
            return;
        }

        Registers.Invalidate();
        Ram.Writes.Detach(this);
        Ram.Writes.Unsubscribe(this);
        _handle.Free();
        Blocks.Dispose();
        Jit?.Dispose();
        AddressSpaces.Dispose();
        _memory.Dispose();
        _state = null;
    }

    public void ReportNotImplemented(ushort code, ulong rip)
    {
        if (_reported.Add(code))
        {
            LogNotImplemented(_logger, (Iced.Intel.Code)code, rip);
        }
    }

    private readonly HashSet<ushort> _reported = [];

    [LoggerMessage(101, LogLevel.Warning, "Instruction {Code} at RIP 0x{Rip:x} is not implemented: the guest gets #UD")]
    private static partial void LogNotImplemented(ILogger logger, Iced.Intel.Code code, ulong rip);

    private RunResult RunCore(CpuState* s)
    {
        int deliveries = 0;
        while (true)
        {
            if (TakeAttention(s) is { } result)
            {
                return result;
            }

            if (s->Halted)
            {
                return RunResult.Halted;
            }

            if (s->Remaining <= 0 || deliveries == MaximumDeliveries)
            {
                return RunResult.BudgetExhausted;
            }

            bool step = (s->Poll & (int)Attention.SingleStep) != 0 || (s->SystemFlags & Flags.RF) != 0;
            ExitCode exit = step ? StepOne(s) : InterpreterEngine.Execute(s, Blocks);
            s->CurrentOp = null;
            switch (exit)
            {
                case ExitCode.ExceptionAtRip:
                    deliveries++;
                    Interrupts.DeliverException(s);
                    if (s->Exit == ExitCode.Shutdown)
                    {
                        return RunResult.Shutdown;
                    }

                    break;
                case ExitCode.Halt:
                    s->Halted = true;
                    break;
                case ExitCode.Shutdown:
                    return RunResult.Shutdown;
            }
        }
    }

    /// <summary>One instruction between two looks at the debug facilities.</summary>
    private ExitCode StepOne(CpuState* s)
    {
        if (!DebugTraps.BeforeInstruction(s))
        {
            return ExitCode.ExceptionAtRip;
        }

        // Repetitions of a string instruction are steps of their own while this is set.
        Interlocked.Or(ref s->Poll, (int)Attention.SingleStep);
        ExitCode exit = InterpreterEngine.Step(s, Blocks);
        DebugTraps.RefreshStepping(s);
        bool retired = exit is ExitCode.BlockEnd or ExitCode.Attention or ExitCode.Halt;
        return !retired || DebugTraps.AfterInstruction(s) ? exit : ExitCode.ExceptionAtRip;
    }

    /// <summary>Looks at what waits between two instructions: the machine's thread, NMI, interrupts.</summary>
    private RunResult? TakeAttention(CpuState* s)
    {
        int poll = Volatile.Read(ref s->Poll);
        if ((poll & (int)Attention.Machine) != 0)
        {
            Interlocked.And(ref s->Poll, ~(int)Attention.Machine);
            return RunResult.Attention;
        }

        if ((poll & (int)(Attention.Interrupt | Attention.Nmi)) != 0)
        {
            // The lines themselves say what is pending; they are looked at again whenever a block ends.
            Interlocked.And(ref s->Poll, ~(int)(Attention.Interrupt | Attention.Nmi));
        }

        if (s->InterruptShadow)
        {
            return null;
        }

        if (Volatile.Read(ref s->NmiLine) != 0 && !s->NmiBlocked)
        {
            Volatile.Write(ref s->NmiLine, 0);
            s->Halted = false;
            Interrupts.DeliverNmi(s);
        }
        else if (Volatile.Read(ref s->InterruptLine) != 0 && (s->SystemFlags & Flags.IF) != 0)
        {
            int vector = _localApic?.AcknowledgeInterrupt() ?? -1;
            if (vector >= 0)
            {
                s->Halted = false;
                Interrupts.DeliverInterrupt(s, (byte)vector);
            }
        }
        else
        {
            return null;
        }

        return s->Exit == ExitCode.Shutdown ? RunResult.Shutdown : null;
    }
}
