using Microsoft.Extensions.Logging;
using Uml.Core.Bus;
using Uml.Core.Clock;
using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Control;
using Uml.Core.Cpu.Decode;
using Uml.Core.Cpu.Interpreter;
using Uml.Core.Cpu.Interrupts;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.Semantics.Float;
using Uml.Core.Cpu.State;
using Uml.Core.Cpu.Time;
using Uml.Core.Interop;
using Uml.Core.Memory;

namespace Uml.Core.Cpu;

/// <summary>One virtual CPU: owns its unmanaged state, its TLBs and decoded blocks, and runs them.</summary>
// SAFETY: _memory holds all parts of a processor (ProcessorMemory) with room for signal frames below, and is mapped until Dispose. The
// machine disposes of a processor when its thread has ended and nobody may ask for attention any more. Handles in the state are freed with
// it.
internal sealed unsafe partial class VirtualCpu : ICpuRunner
{
    /// <summary>
    /// The most exceptions delivered in one <see cref="Run"/>. The limit is ours: a handler whose first instruction faults retires nothing,
    /// and the machine's loop has to run timers.
    /// </summary>
    private const int MaximumDeliveries = 1 << 14;

    private readonly HostMemory _memory;
    private readonly Owned _parts = new();
    private readonly SystemUnit _system;
    private CpuState* _state;

    /// <summary>Instructions retired before the current call of <see cref="Run"/>, and the budget it was given.</summary>
    private ulong _retiredBefore;
    private long _budget;

    public VirtualCpu(int index, GuestRam ram, MachineBus bus, IMachineClock clock, CpuOptions options, ILogger logger)
    {
        Index = index;
        Ram = ram;
        bool translate = options.Engine == CpuEngine.Jit;
        AddressSpaces = new AddressSpaces(translate);
        Blocks = new BlockCache(ram, new BlockDecoder(new InstructionBinder()), options.CodeCacheSize);
        _memory = new HostMemory(EngineState.SignalStack + (ulong)sizeof(ProcessorMemory));
        _state = &((ProcessorMemory*)(_memory.Pointer + EngineState.SignalStack))->Cpu;
        _state->Features = CpuModels.FeaturesOf(CpuModels.Resolve(options.Model));
        Memory = new MemoryUnit(this, ram, bus, AddressSpaces, &AlignmentExemptions.Contain);
        IEntropySource entropy = options.RandomSeed is { } seed ? new SeededEntropySource(seed + (ulong)index) : new HostEntropySource();
        _system = new SystemUnit(_state, new CpuidTable(index, options.Count, clock), clock, entropy);
        Log = new CpuLog(logger, index);
        Connect();
        Registers = new ProcessorRegisters(_state);
        ram.Writes.Attach(this);
        ram.Writes.Subscribe(WatchReasons.Code, this);
        if (translate)
        {
            RealTimeClock? hostTime = clock is RealTimeClock { FollowsHost: true } real && TimeStampCounter.IsOffered() ? real : null;
            try
            {
                Jit = new JitEngine(options, Blocks, AddressSpaces, _state, Log, readsTime: hostTime is not null);
            }
            catch (InsufficientMemoryException)
            {
                Dispose();
                throw;
            }

            _state->Engine->Translator = _parts.Add(Jit);
            if (!Jit.CatchesFaults)
            {
                Log.ReportFaultsNotCaught();
            }

            _system.TimeStamps = hostTime is null ? null : new TimeStampCounter(&_state->Engine->TimeStamps, hostTime, Jit.ReadHostTimeStamp);
        }

        CpuReset.PowerOn(_state);
    }

    public int Index { get; }

    public GuestRam Ram { get; }

    /// <summary>Memory, ports and devices, as accesses reach them.</summary>
    public MemoryUnit Memory { get; }

    /// <summary>The CPU model.</summary>
    public CpuidTable Cpuid => _system.Cpuid;

    /// <summary>The unit for system instructions.</summary>
    public SystemUnit System => _system;

    /// <summary>One-time reports.</summary>
    public CpuLog Log { get; }

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
            if (!_system.IsRunning)
            {
                return _retiredBefore;
            }

            // The running block is already counted as a whole: subtract its instructions that have not retired, this one included.
            CpuState* s = _state;
            long pending = BlockState.Of(s)->CurrentOp == null ? 0 : BlockState.Of(s)->CurrentBlock->Count - (BlockState.Of(s)->CurrentOp - Block.Ops(BlockState.Of(s)->CurrentBlock));
            return _retiredBefore + (ulong)(_budget - s->Hot.Remaining - s->Engine->Reserve - pending);
        }
    }

    public CpuStatistics GetStatistics()
    {
        ObjectDisposedException.ThrowIf(_state == null, this);
        return CpuStatistics.From(in _state->Engine->Counters, InstructionsRetired);
    }

    /// <summary>Runs until the budget is used up or a <see cref="RunResult"/> other than that occurs.</summary>
    /// <param name="instructionBudget">The most instructions to retire, at least 1.</param>
    public RunResult Run(long instructionBudget)
    {
        CpuState* s = _state;
        _budget = instructionBudget;
        s->Hot.Remaining = instructionBudget;
        BlockState.Of(s)->CurrentOp = null;
        _system.IsRunning = true;
        try
        {
            Interlocked.MemoryBarrier();
            Ram.Writes.TakeCompleted();
            return Jit is null ? RunCore(s) : RunTranslated(s, Jit);
        }
        finally
        {
            // A device's exception ends a run too, in the middle of a block.
            _system.StopTimeStamps();
            _retiredBefore = InstructionsRetired;
            BlockState.Of(s)->CurrentOp = null;
            _system.IsRunning = false;
        }
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
        _parts.Dispose();
        Blocks.Dispose();
        Jit?.Dispose();
        AddressSpaces.Dispose();
        _memory.Dispose();
        _state = null;
    }

    /// <summary>Sets the pointers in the processor's memory.</summary>
    private void Connect()
    {
        EngineState* engine = _state->Engine;
        engine->HostMxcsr = SseFloat.DefaultMxcsr;
        engine->RamBase = Ram.Base;
        engine->RamLowEnd = Ram.LowEnd;
        engine->RamHighEnd = Ram.HighEnd;
        engine->Pages = Ram.Pages;
        engine->Memory = _parts.Add(Memory);
        engine->Blocks = _parts.Add(Blocks);
        engine->System = _parts.Add(_system);
        engine->Log = _parts.Add(Log);
        BlockState.Of(_state)->JumpCache = Blocks.JumpCache;
        PagingState.Of(_state)->Walks = AddressSpaces.Walks;
        Blocks.Counters = &engine->Counters;
    }

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

            if (s->Hot.Remaining <= 0 || deliveries == MaximumDeliveries)
            {
                return RunResult.BudgetExhausted;
            }

            bool step = (s->Engine->Poll & (int)Attention.SingleStep) != 0 || (s->SystemFlags & Flags.RF) != 0;
            ExitCode exit = step ? StepOne(s) : InterpreterEngine.Execute(s, Blocks);
            BlockState.Of(s)->CurrentOp = null;
            switch (exit)
            {
                case ExitCode.ExceptionAtRip:
                    deliveries++;
                    EventDelivery.DeliverException(s);
                    if (s->Engine->Exit == ExitCode.Shutdown)
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

    /// <summary>Runs one instruction, with the checks for debug exceptions before and after it.</summary>
    private ExitCode StepOne(CpuState* s)
    {
        if (!DebugTraps.BeforeInstruction(s))
        {
            return ExitCode.ExceptionAtRip;
        }

        // Repetitions of a string instruction are steps of their own while this is set.
        Interlocked.Or(ref s->Engine->Poll, (int)Attention.SingleStep);
        ExitCode exit = InterpreterEngine.Step(s, Blocks);
        DebugState.RefreshStepping(s);
        bool retired = exit is ExitCode.BlockEnd or ExitCode.Attention or ExitCode.Halt;
        return !retired || DebugTraps.AfterInstruction(s) ? exit : ExitCode.ExceptionAtRip;
    }

    /// <summary>Serves pending requests between two instructions: attention, NMI, interrupts.</summary>
    private RunResult? TakeAttention(CpuState* s)
    {
        int poll = Volatile.Read(ref s->Engine->Poll);
        if ((poll & (int)Attention.Machine) != 0)
        {
            Interlocked.And(ref s->Engine->Poll, ~(int)Attention.Machine);
            return RunResult.Attention;
        }

        if ((poll & (int)(Attention.Interrupt | Attention.Nmi)) != 0)
        {
            // The lines say what is pending; they are polled whenever a block ends.
            Interlocked.And(ref s->Engine->Poll, ~(int)(Attention.Interrupt | Attention.Nmi));
        }

        if (s->InterruptShadow)
        {
            return null;
        }

        if (Volatile.Read(ref s->NmiLine) != 0 && !s->NmiBlocked)
        {
            Volatile.Write(ref s->NmiLine, 0);
            s->Halted = false;
            EventDelivery.DeliverNmi(s);
        }
        else if (Volatile.Read(ref s->Engine->InterruptLine) != 0 && (s->SystemFlags & Flags.IF) != 0)
        {
            int vector = _system.LocalApic?.AcknowledgeInterrupt() ?? -1;
            if (vector >= 0)
            {
                s->Halted = false;
                EventDelivery.DeliverInterrupt(s, (byte)vector);
            }
        }
        else
        {
            return null;
        }

        return s->Engine->Exit == ExitCode.Shutdown ? RunResult.Shutdown : null;
    }
}
