using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging.Abstractions;
using Uml.Core;
using Uml.Core.Bus;
using Uml.Core.Cpu;
using Uml.Core.Cpu.Interpreter;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.Semantics;
using Uml.Core.Memory;

namespace Uml.Differential.Tests.Engines;

/// <summary>Runs test programs on a virtual CPU of ours, in user mode under page tables that map what <see cref="Layout"/> says.</summary>
/// <remarks>
/// Exceptions are taken where the engine raises them, before delivery: delivery to a handler is the system tests' subject. The exit
/// slots are HLT, which is an exception in user mode.
/// </remarks>
internal sealed unsafe class InterpreterExecutor : IExecutor
{
    private const ulong RamSize = 1 << 20, TablesStart = 0x1000, CodePhysical = 0x4_0000, DataPhysical = 0x5_0000;
    private const byte Hlt = 0xF4;
    private const long Budget = 100_000;

    private readonly GuestRam _ram = new(RamSize);
    private readonly VirtualCpu _cpu;
    private readonly int _bitness;
    private ulong _nextTable = TablesStart + 0x1000;

    public InterpreterExecutor(int bitness = 64)
    {
        _bitness = bitness;
        _cpu = new VirtualCpu(0, _ram, new MachineBus(_ram.Ranges), new StoppedClock(), new CpuOptions { CodeCacheSize = 1 << 20 }, NullLogger.Instance);
        const ulong user = 1 | 4, write = 2, noExecute = 1UL << 63;
        MapPage(Layout.Code, CodePhysical, user);
        ulong physical = DataPhysical;
        foreach (Window window in Layout.Windows)
        {
            for (int offset = 0; offset < window.Size; offset += Layout.PageSize)
            {
                MapPage(window.Start + (ulong)offset, physical, user | noExecute | (window.Writable ? write : 0));
                physical += Layout.PageSize;
            }
        }

        Ram(CodePhysical, Layout.PageSize).Fill(Hlt);
    }

    public string Name => "interpreter";

    public void Execute(ref MachineSnapshot state, ReadOnlySpan<byte> code, Span<byte> memory)
    {
        int offset = (int)(state.Rip - Layout.Code);
        ulong end = state.Rip + (ulong)code.Length;
        code.CopyTo(Ram(CodePhysical + (ulong)offset, code.Length));
        memory.CopyTo(Ram(DataPhysical, Layout.MemorySize));
        LoadState(ref state);
        Run(ref state, end);
        StoreState(ref state);
        Ram(DataPhysical, Layout.MemorySize).CopyTo(memory);
        Ram(CodePhysical + (ulong)offset, code.Length).Fill(Hlt);
    }

    public void Dispose()
    {
        _cpu.Dispose();
        _ram.Dispose();
    }

    private void Run(ref MachineSnapshot state, ulong end)
    {
        CpuState* s = _cpu.State;
        s->Remaining = Budget;
        while (true)
        {
            ExitCode exit = InterpreterEngine.Execute(s, _cpu.Blocks);
            s->CurrentOp = null;
            if (exit == ExitCode.ExceptionAtRip)
            {
                break;
            }

            if (s->Remaining <= 0)
            {
                throw new InvalidOperationException($"The program did not end within {Budget} instructions; RIP is 0x{s->Rip:x}, last exit {exit}.");
            }
        }

        // Everything on the code page that is not the program is HLT.
        bool isSlot = s->Rip - Layout.Code < Layout.PageSize && (s->Rip < state.Rip || s->Rip >= end);
        state.Vector = isSlot ? MachineSnapshot.Completed : s->ExceptionVector;
        state.ErrorCode = isSlot || !s->ExceptionHasError ? 0 : s->ExceptionError;
        state.Cr2 = s->Cr2;
    }

    private void LoadState(ref MachineSnapshot state)
    {
        const ulong cr0 = 0x8005_0033; // PG AM WP NE ET MP PE, as Linux sets it
        const ulong cr4 = (1 << 5) | (1 << 7) | (1 << 9) | (1 << 10) | (1 << 16); // PAE PGE OSFXSR OSXMMEXCPT FSGSBASE
        CpuState* s = _cpu.State;
        for (int i = 0; i < 16; i++)
        {
            s->Gpr[i] = state.Gprs[i];
        }

        s->Rip = state.Rip;
        s->Cpl = 3;
        s->Cr0 = cr0;
        s->Cr2 = 0;
        s->Cr3 = TablesStart;
        s->Cr4 = cr4;
        s->Efer = 0xD01; // NXE LMA LME SCE
        s->Poll = 0;
        Flags.Set(s, state.Rflags);
        LoadSegments(s, state.GsBase);
        LoadFloatingPoint(s, ref state);
        Mmu.SwitchAddressSpace(s, keep: true);
    }

    private void LoadSegments(CpuState* s, ulong gsBase)
    {
        const ushort accessedUser = SegmentRegister.Present | SegmentRegister.DplMask | SegmentRegister.S | 1;
        var data = new SegmentRegister
        {
            Selector = Layout.UserData,
            Limit = uint.MaxValue,
            Attributes = accessedUser | 2 | SegmentRegister.Db | SegmentRegister.G,
        };
        SegmentRegister other = _bitness == 32 ? data : default;
        SegmentRegister code = data;
        code.Selector = _bitness == 32 ? Layout.UserCode32 : Layout.UserCode64;
        code.Attributes = (ushort)(accessedUser | 0xA | SegmentRegister.G | (_bitness == 32 ? SegmentRegister.Db : SegmentRegister.L));
        s->Segments[(int)SegmentIndex.Cs] = code;
        s->Segments[(int)SegmentIndex.Ss] = data;
        s->Segments[(int)SegmentIndex.Ds] = other;
        s->Segments[(int)SegmentIndex.Es] = other;
        s->Segments[(int)SegmentIndex.Fs] = default;
        s->Segments[(int)SegmentIndex.Gs] = new SegmentRegister { Base = gsBase };
    }

    private static void LoadFloatingPoint(CpuState* s, ref MachineSnapshot state)
    {
        s->Mxcsr = state.Mxcsr;
        s->X87.ControlWord = state.ControlWord;
        s->X87.StatusWord = state.StatusWord;
        s->X87.ValidTags = state.Tags;
        int top = (state.StatusWord >> 11) & 7;
        for (int i = 0; i < 8; i++)
        {
            ref Float80 register = ref s->X87.Physical((top + i) & 7);
            register.Significand = BinaryPrimitives.ReadUInt64LittleEndian(state.St(i));
            register.SignExponent = BinaryPrimitives.ReadUInt16LittleEndian(state.St(i)[8..]);
        }

        for (int i = 0; i < 16; i++)
        {
            state.Xmm(i).CopyTo(Vector(s, i));
        }
    }

    private static void StoreState(CpuState* s, ref MachineSnapshot state)
    {
        for (int i = 0; i < 16; i++)
        {
            state.Gprs[i] = s->Gpr[i];
            Vector(s, i).CopyTo(state.Xmm(i));
        }

        state.Rip = s->Rip;
        state.Rflags = Flags.Get(s);
        state.GsBase = s->Segments[(int)SegmentIndex.Gs].Base;
        state.Mxcsr = s->Mxcsr;
        state.ControlWord = s->X87.ControlWord;
        state.StatusWord = s->X87.StatusWord;
        state.Tags = s->X87.ValidTags;
        int top = (s->X87.StatusWord >> 11) & 7;
        for (int i = 0; i < 8; i++)
        {
            ref Float80 register = ref s->X87.Physical((top + i) & 7);
            BinaryPrimitives.WriteUInt64LittleEndian(state.St(i), register.Significand);
            BinaryPrimitives.WriteUInt16LittleEndian(state.St(i)[8..], register.SignExponent);
        }
    }

    private void StoreState(ref MachineSnapshot state) => StoreState(_cpu.State, ref state);

    // SAFETY: sixteen 32-byte slots lie in the CPU's unmanaged state.
    private static Span<byte> Vector(CpuState* s, int number) => new((byte*)s + CpuState.VectorsOffset + (32 * number), 16);

    private Span<byte> Ram(ulong physical, int length) => _ram.TryGetSpan(new(physical), length, out Span<byte> span)
        ? span
        : throw new ArgumentOutOfRangeException(nameof(physical));

    /// <summary>Adds one 4 KiB page to the tables (Intel SDM vol. 3, 4.5).</summary>
    private void MapPage(ulong linear, ulong physical, ulong flags)
    {
        ulong table = TablesStart;
        for (int shift = 39; shift > 12; shift -= 9)
        {
            Span<byte> entry = Ram(table + (((linear >> shift) & 511) * 8), 8);
            ulong value = MemoryMarshal.Read<ulong>(entry);
            if (value == 0)
            {
                value = _nextTable | 7;
                _nextTable += Layout.PageSize;
                MemoryMarshal.Write(entry, value);
            }

            table = value & ~0xFFFUL;
        }

        MemoryMarshal.Write(Ram(table + (((linear >> 12) & 511) * 8), 8), physical | flags);
    }

    /// <summary>Time does not matter to user-mode instructions that are tested.</summary>
    private sealed class StoppedClock : IMachineClock
    {
        public ulong Nanoseconds => 0;

        public ulong TscFrequency => 1_000_000_000;

        public DateTimeOffset StartTime => DateTimeOffset.UnixEpoch;

        public ulong ReadTsc() => 0;

        public IMachineTimer CreateTimer(Action callback) => throw new NotSupportedException();
    }
}
