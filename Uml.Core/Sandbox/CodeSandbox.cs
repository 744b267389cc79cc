using System.Buffers.Binary;
using Iced.Intel;
using Microsoft.Extensions.Logging.Abstractions;
using Uml.Core.Bus;
using Uml.Core.Clock;
using Uml.Core.Cpu;
using Uml.Core.Cpu.State;
using Uml.Core.Memory;

namespace Uml.Core.Sandbox;

/// <summary>
/// Runs a few instructions without a kernel: for unit tests of snippets, privileged ones included. Code runs at privilege level 0, with a
/// stack, and stops at HLT, at INT3, at any exception or when its instruction budget is used up.
/// </summary>
/// <remarks>
/// <code>
/// using var sandbox = new CodeSandbox();
/// sandbox.Registers.Rax = 2;
/// sandbox.Run(a =&gt; a.add(rax, 3));
/// Assert.That(sandbox.Registers.Rax, Is.EqualTo(5));
/// </code>
/// Memory from <see cref="DataAddress"/> on is free for data; below <see cref="CodeAddress"/> are the sandbox's own tables. Code may change
/// all of it, including the interrupt table. The time-stamp counter counts instructions. Not safe for several threads.
/// </remarks>
public sealed class CodeSandbox : IDisposable
{
    /// <summary>Where code is loaded.</summary>
    public const ulong CodeAddress = 0x1_0000;

    /// <summary>The initial stack pointer in 32-bit and 64-bit mode. In real mode it is 0xFFF0 in the segment of the code.</summary>
    public const ulong StackTop = 0xF_0000;

    /// <summary>Memory from here on is free.</summary>
    public const ulong DataAddress = 0x10_0000;

    /// <summary>The instruction budget of a run that names none.</summary>
    public const long DefaultBudget = 1_000_000;

    private const int MaximumCode = (int)(StackTop - CodeAddress) - 0x1_0000;
    private const byte Hlt = 0xF4, BreakpointVector = 3;

    /// <summary>Vectors that push an error code (Intel SDM vol. 3, table 7-1): #DF, #TS, #NP, #SS, #GP, #PF, #AC, #CP.</summary>
    private const uint VectorsWithErrorCode = (1 << 8) | (0x1F << 10) | (1 << 17) | (1 << 21);

    private readonly GuestRam _ram;
    private readonly VirtualCpu _cpu;
    private readonly MachineBus _bus;
    private readonly CodeMode _mode;

    /// <summary>A sandbox whose registers are as after reset, except for its mode and stack pointer.</summary>
    /// <param name="options">The options; null for the defaults.</param>
    /// <exception cref="MachineConfigurationException">An option is wrong; the message says what to do.</exception>
    public CodeSandbox(CodeSandboxOptions? options = null)
    {
        options ??= new CodeSandboxOptions();
        Validate(options);
        _mode = options.Mode;
        _ram = new GuestRam(options.MemorySize);
        _bus = new MachineBus(_ram.Ranges);
        var clock = new VirtualTimeClock(DateTimeOffset.UnixEpoch);
        CpuOptions cpu = new()
        {
            Engine = options.Engine,
            Model = options.Model,
            RandomSeed = options.RandomSeed,
            TranslationCheck = options.TranslationCheck,
        };
        _cpu = new VirtualCpu(0, _ram, _bus, clock, cpu, NullLogger.Instance);
        clock.Connect(_cpu);
        SandboxTables.Write(_ram, _mode);
        SandboxTables.Enter(Registers, _mode);
        Registers.Rflags = 2;
        Registers.Rsp = _mode == CodeMode.Bits16 ? 0xFFF0 : StackTop;
        Registers.Rip = EntryPoint;
    }

    /// <summary>The registers.</summary>
    public ProcessorRegisters Registers => _cpu.Registers;

    /// <summary>The memory; in 32-bit and 64-bit mode linear addresses are the same as physical ones.</summary>
    public IGuestMemory Memory => _ram;

    /// <summary>The bus, to attach devices for code that accesses them.</summary>
    public IMachineBus Bus => _bus;

    /// <summary>The processor's statistics.</summary>
    public CpuStatistics GetCpuStatistics() => _cpu.GetStatistics();

    private ulong EntryPoint => _mode == CodeMode.Bits16 ? 0 : CodeAddress;

    /// <summary>Writes code, followed by HLT, to <see cref="CodeAddress"/>, and points RIP at it.</summary>
    /// <exception cref="ArgumentException">There is too much of it.</exception>
    public void Load(ReadOnlySpan<byte> code)
    {
        if (code.Length > MaximumCode)
        {
            throw new ArgumentException($"There are {code.Length} bytes of code and room for {MaximumCode}.", nameof(code));
        }

        _ram.TryWrite(new GuestPhysicalAddress(CodeAddress), code);
        _ram.TryWrite(new GuestPhysicalAddress(CodeAddress + (ulong)code.Length), [Hlt]);
        Registers.Rip = EntryPoint;
    }

    /// <summary>Writes what was assembled, followed by HLT, to <see cref="CodeAddress"/>, and points RIP at it.</summary>
    /// <exception cref="ArgumentException">The assembler's bitness is not the sandbox's mode, or there is too much code.</exception>
    public void Load(Assembler assembler)
    {
        ArgumentNullException.ThrowIfNull(assembler);
        if (assembler.Bitness != Bitness)
        {
            throw new ArgumentException($"The code is assembled for {assembler.Bitness} bits and this sandbox runs {_mode}.", nameof(assembler));
        }

        using MemoryStream code = new();
        assembler.Assemble(new StreamCodeWriter(code), EntryPoint);
        Load(code.ToArray());
    }

    /// <summary>Loads and runs code.</summary>
    /// <param name="write">Writes the code; HLT is added behind it.</param>
    /// <param name="instructionBudget">The most instructions to run, at least 1.</param>
    /// <param name="cancellationToken">Ends the run.</param>
    /// <exception cref="OperationCanceledException">The run was ended; <see cref="Run(long, CancellationToken)"/> continues it.</exception>
    public CodeResult Run(Action<Assembler> write, long instructionBudget = DefaultBudget, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(write);
        Assembler assembler = new(Bitness);
        write(assembler);
        Load(assembler);
        return Run(instructionBudget, cancellationToken);
    }

    /// <summary>Loads and runs code.</summary>
    /// <param name="code">The code; HLT is added behind it.</param>
    /// <param name="instructionBudget">The most instructions to run, at least 1.</param>
    /// <param name="cancellationToken">Ends the run.</param>
    /// <exception cref="OperationCanceledException">The run was ended; <see cref="Run(long, CancellationToken)"/> continues it.</exception>
    public CodeResult Run(ReadOnlySpan<byte> code, long instructionBudget = DefaultBudget, CancellationToken cancellationToken = default)
    {
        Load(code);
        return Run(instructionBudget, cancellationToken);
    }

    /// <summary>Runs from where RIP is.</summary>
    /// <param name="instructionBudget">The most instructions to run, at least 1. Each repetition of a REP instruction counts as one.</param>
    /// <param name="cancellationToken">Ends the run, also within a repeated instruction; the state is that between two instructions or repetitions.</param>
    /// <exception cref="OperationCanceledException">The run was ended; it can be continued by another.</exception>
    public CodeResult Run(long instructionBudget = DefaultBudget, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(instructionBudget);
        ulong start = _cpu.InstructionsRetired;
        Registers.IsHalted = false;
        using CancellationTokenRegistration end = cancellationToken.UnsafeRegister(static cpu => ((VirtualCpu)cpu!).RequestAttention(), _cpu);
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            ulong before = _cpu.InstructionsRetired;
            long remaining = instructionBudget - (long)(before - start);
            RunResult result = remaining > 0 ? _cpu.Run(remaining) : RunResult.BudgetExhausted;
            ulong retired = _cpu.InstructionsRetired - start;
            switch (result)
            {
                case RunResult.Halted:
                    return Stop(retired);
                case RunResult.Shutdown:
                    return new CodeResult(CodeStopReason.TripleFault, retired);
                case RunResult.BudgetExhausted when remaining <= 0 || _cpu.InstructionsRetired == before:
                    return new CodeResult(CodeStopReason.BudgetExhausted, retired);
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _cpu.Dispose();
        _ram.Dispose();
    }

    private int Bitness => _mode switch { CodeMode.Bits64 => 64, CodeMode.Bits32 => 32, _ => 16 };

    private static void Validate(CodeSandboxOptions options)
    {
        if (options.MemorySize is < (2UL << 20) or > (1UL << 30) || options.MemorySize % GuestRam.PageSize != 0)
        {
            throw new MachineConfigurationException(
                $"CodeSandboxOptions.MemorySize is {options.MemorySize} bytes; use 2 MiB to 1 GiB, a multiple of {GuestRam.PageSize}.");
        }

        if (!Enum.IsDefined(options.Mode))
        {
            throw new MachineConfigurationException($"CodeSandboxOptions.Mode is {(int)options.Mode}; use CodeMode.Bits64, Bits32 or Bits16.");
        }

        if (!Enum.IsDefined(options.Engine) || (options.Engine == CpuEngine.Jit && !JitEngine.IsSupported))
        {
            throw new MachineConfigurationException(
                $"CodeSandboxOptions.Engine is {options.Engine}; use CpuEngine.Interpreter, or CpuEngine.Jit on Linux on x86-64.");
        }

        if (!Enum.IsDefined(options.Model))
        {
            throw new MachineConfigurationException($"CodeSandboxOptions.Model is {(int)options.Model}; use CpuModel.Host, X64V2 or X64V3.");
        }

        if (CpuOptions.FindProblem(options.TranslationCheck, "CodeSandboxOptions.TranslationCheck") is { } problem)
        {
            throw new MachineConfigurationException(problem);
        }
    }

    /// <summary>Distinguishes a halt of the code from one in an exception's stub, and undoes the delivery of the exception.</summary>
    private CodeResult Stop(ulong retired)
    {
        ulong stub = Registers.Cs.Base + Registers.Rip - 1 - SandboxTables.StubAddress;
        if (stub >= SandboxTables.VectorCount)
        {
            return new CodeResult(CodeStopReason.Halt, retired);
        }

        byte vector = (byte)stub;
        uint error = LeaveException(vector);
        CodeStopReason reason = vector == BreakpointVector ? CodeStopReason.Breakpoint : CodeStopReason.Exception;
        return new CodeResult(reason, retired - 1, vector, error);
    }

    /// <summary>Restores the registers that the delivery of an exception pushed (Intel SDM vol. 3, 7.12.1 and 7.14.2).</summary>
    /// <returns>The error code.</returns>
    private uint LeaveException(byte vector)
    {
        int width = Bitness / 8;
        ulong frame = Registers.Ss.Base + (Registers.Rsp & (ulong.MaxValue >> (64 - Bitness)));
        uint error = 0;
        if (_mode != CodeMode.Bits16 && vector < 32 && (VectorsWithErrorCode & (1u << vector)) != 0)
        {
            error = (uint)Pop(ref frame, width);
        }

        ulong rip = Pop(ref frame, width);
        ulong cs = Pop(ref frame, width);
        Registers.Rflags = Pop(ref frame, width) & ~(ulong)Flags.RF; // RF is set in the image of a fault
        Registers.Rsp = _mode == CodeMode.Bits64 ? Pop(ref frame, width) : frame - Registers.Ss.Base;
        Registers.Rip = rip;
        Registers.Cs = _mode == CodeMode.Bits16 ? SegmentState.RealMode((ushort)cs) : Registers.Cs;
        return error;
    }

    private ulong Pop(ref ulong frame, int width)
    {
        Span<byte> value = stackalloc byte[8];
        value.Clear();
        _ram.TryRead(new GuestPhysicalAddress(frame), value[..width]);
        frame += (ulong)width;
        return BinaryPrimitives.ReadUInt64LittleEndian(value);
    }
}
