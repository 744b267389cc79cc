using System.Buffers.Binary;
using Microsoft.Extensions.Logging.Abstractions;
using Uml.Core;
using Uml.Core.Bus;
using Uml.Core.Cpu;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.Semantics;
using Uml.Core.Memory;
using Uml.Differential.Tests.Native;

namespace Uml.Differential.Tests.Engines;

/// <summary>Runs test programs on a virtual CPU of ours, in user mode of the small system that <see cref="GuestSystem"/> sets up.</summary>
/// <remarks>Exceptions are delivered through the guest's IDT. The exit slots are HLT, which is an exception in user mode.</remarks>
internal sealed unsafe class VirtualCpuExecutor : IExecutor
{
    private const long Budget = 100_000;

    private readonly GuestRam _ram = new(GuestSystem.RamSize);
    private readonly GuestSystem _system;
    private readonly VirtualCpu _cpu;
    private readonly int _bitness;

    public VirtualCpuExecutor(int bitness = 64, CpuEngine engine = CpuEngine.Interpreter, bool writableCode = false)
    {
        Name = engine.ToString();
        _bitness = bitness;
        _system = new GuestSystem(_ram, hasCode32: bitness == 32 || HostProcessor.HasCode32, writableCode);
        var options = new CpuOptions { Engine = engine, Model = CpuModel.X64V3, CodeCacheSize = 1 << 20, TranslationThreshold = 0 };
        _cpu = new VirtualCpu(0, _ram, new MachineBus(_ram.Ranges), new StoppedClock(), options, NullLogger.Instance);
    }

    public string Name { get; }

    /// <summary>The code page as the last program left it.</summary>
    public byte[] CodePage { get; } = new byte[Layout.PageSize];

    /// <summary>Programs that left other code than they were.</summary>
    public long ProgramsChanged { get; private set; }

    /// <summary>Instructions the last program retired, those of exception delivery included.</summary>
    public ulong Retired { get; private set; }

    public void Execute(ref MachineSnapshot state, ReadOnlySpan<byte> code, Span<byte> memory)
    {
        ulong start = state.Rip, end = start + (ulong)code.Length;
        ulong physical = GuestSystem.CodePhysical + (start - Layout.Code);
        code.CopyTo(_system.Memory(physical, code.Length));
        memory.CopyTo(_system.Memory(GuestSystem.DataPhysical, Layout.MemorySize));
        LoadState(ref state);
        RunResult result;
        try
        {
            result = Run();
        }
        finally
        {
            Span<byte> page = _system.Memory(GuestSystem.CodePhysical, Layout.PageSize);
            page.CopyTo(CodePage);
            ProgramsChanged += page.Slice((int)(start - Layout.Code), code.Length).SequenceEqual(code) ? 0 : 1;
            page.Fill(GuestSystem.Hlt);
        }

        StoreState(_cpu.State, ref state);
        _system.Memory(GuestSystem.DataPhysical, Layout.MemorySize).CopyTo(memory);
        if (result == RunResult.BudgetExhausted)
        {
            // It has overwritten its return address with that of a function, say.
            state.Vector = MachineSnapshot.Endless;
            state.Rip = _cpu.State->Rip;
            state.Rflags = Flags.Get(_cpu.State);
            return;
        }

        _system.ReadFrame(_cpu.State, ref state);

        // Everything on the code page that is not the program is HLT, which user mode may not execute.
        if (state.Vector == 13 && state.Rip - Layout.Code < Layout.PageSize && (state.Rip < start || state.Rip >= end))
        {
            state.Vector = MachineSnapshot.Completed;
        }
    }

    /// <summary>What only engines of ours tell: how many instructions they ran, and what they made of the code.</summary>
    /// <returns>What differs in the last program, empty when nothing does.</returns>
    public static IEnumerable<string> Compare(VirtualCpuExecutor expected, VirtualCpuExecutor actual)
    {
        if (expected.Retired != actual.Retired)
        {
            yield return $"retired: expected {expected.Retired}, got {actual.Retired}";
        }

        int same = expected.CodePage.AsSpan().CommonPrefixLength(actual.CodePage);
        if (same != Layout.PageSize)
        {
            yield return $"code at 0x{Layout.Code + (ulong)same:x}: expected {expected.CodePage[same]:x}, got {actual.CodePage[same]:x}";
        }
    }

    public void Dispose()
    {
        _cpu.Dispose();
        _ram.Dispose();
    }

    private RunResult Run()
    {
        ulong before = _cpu.InstructionsRetired;
        RunResult result = _cpu.Run(Budget);
        Retired = _cpu.InstructionsRetired - before;
        return result is RunResult.Halted or RunResult.BudgetExhausted
            ? result
            : throw new InvalidOperationException($"{result} at RIP 0x{_cpu.State->Rip:x}.");
    }

    private void LoadState(ref MachineSnapshot state)
    {
        CpuState* s = _cpu.State;
        GuestSystem.Enter(s, _bitness, state.GsBase);
        for (int i = 0; i < 16; i++)
        {
            s->Gpr[i] = state.Gprs[i];
            state.Xmm(i).CopyTo(Vector(s, i));
            state.UpperYmm(i).CopyTo(Vector(s, i)[16..]);
        }

        s->Rip = state.Rip;
        Flags.Set(s, state.Rflags);
        s->Mxcsr = state.Mxcsr;
        s->X87.ControlWord = state.ControlWord;
        s->X87.StatusWord = state.StatusWord;
        s->X87.ValidTags = state.Tags;
        for (int i = 0; i < 8; i++)
        {
            ref Float80 register = ref s->X87.St(i);
            register.Significand = BinaryPrimitives.ReadUInt64LittleEndian(state.St(i));
            register.SignExponent = BinaryPrimitives.ReadUInt16LittleEndian(state.St(i)[8..]);
        }

        Mmu.SwitchAddressSpace(s, keep: true);
    }

    private static void StoreState(CpuState* s, ref MachineSnapshot state)
    {
        for (int i = 0; i < 16; i++)
        {
            state.Gprs[i] = s->Gpr[i];
            Vector(s, i)[..16].CopyTo(state.Xmm(i));
            Vector(s, i)[16..].CopyTo(state.UpperYmm(i));
        }

        state.Ds = s->Segments[(int)SegmentIndex.Ds].Selector;
        state.Es = s->Segments[(int)SegmentIndex.Es].Selector;
        state.GsBase = s->Segments[(int)SegmentIndex.Gs].Base;
        state.Mxcsr = s->Mxcsr;
        state.ControlWord = s->X87.ControlWord;
        state.StatusWord = s->X87.StatusWord;
        state.Tags = s->X87.ValidTags;
        for (int i = 0; i < 8; i++)
        {
            ref Float80 register = ref s->X87.St(i);
            BinaryPrimitives.WriteUInt64LittleEndian(state.St(i), register.Significand);
            BinaryPrimitives.WriteUInt16LittleEndian(state.St(i)[8..], register.SignExponent);
        }
    }

    // SAFETY: sixteen 32-byte slots lie in the CPU's unmanaged state.
    private static Span<byte> Vector(CpuState* s, int number) => new((byte*)s + CpuState.VectorsOffset + (32 * number), 32);

    /// <summary>Time does not matter to the instructions that are tested.</summary>
    private sealed class StoppedClock : IMachineClock
    {
        public ulong Nanoseconds => 0;

        public ulong TscFrequency => 1_000_000_000;

        public DateTimeOffset StartTime => DateTimeOffset.UnixEpoch;

        public ulong ReadTsc() => 0;

        public IMachineTimer CreateTimer(Action callback) => throw new NotSupportedException();
    }
}
