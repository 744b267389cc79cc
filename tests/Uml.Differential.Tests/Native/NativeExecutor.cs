using System.Runtime.InteropServices;
using Iced.Intel;
using Uml.Differential.Tests.Engines;

namespace Uml.Differential.Tests.Native;

/// <summary>Runs test programs on the host's own processor. One per process at a time: it owns fixed addresses and fault signals.</summary>
internal sealed unsafe class NativeExecutor : IExecutor
{
    private const ulong Base = 0x1000_0000;
    private const ulong ControlAddress = Base, ThunkAddress = Base + 0x1_0000, SignalStackAddress = Base + 0x2_0000;
    private const int InvalidOpcode = 6, InvalidOpcodeRuns = 4;
    private const int SignalStackSize = 0x1_0000, BaseSize = 0x4_0000;

    private static readonly int[] s_faultSignals = [Libc.SIGSEGV, Libc.SIGBUS, Libc.SIGFPE, Libc.SIGILL, Libc.SIGTRAP];
    private static readonly SemaphoreSlim s_exclusive = new(1, 1);

    private readonly List<(ulong Start, ulong Length)> _reservations = [];
    private readonly List<(int Signal, SigactionData Action)> _previous = [];
    private readonly byte[] _slots;
    private readonly NativeControl* _control = (NativeControl*)ControlAddress;
    private readonly byte* _writableCode;
    private readonly byte* _writableMemory;
    private readonly int _codeFile, _memoryFile;
    private readonly delegate* unmanaged<void> _enter;
    private readonly ulong _exit;
    private readonly int _bitness;

    /// <summary>Claims the test's address ranges and puts the fault handler in front of the runtime's.</summary>
    /// <param name="bitness">64, or 32 for compatibility mode.</param>
    /// <exception cref="IOException">Another instance lives, or the process uses the address ranges.</exception>
    public NativeExecutor(int bitness = 64)
    {
        if (!IsSupported)
        {
            throw new PlatformNotSupportedException("The native engine needs Linux on an x86-64 processor; check IsSupported first.");
        }

        s_exclusive.Wait();
        _bitness = bitness;
        Reserve(Base, BaseSize);
        Reserve(Layout.ReservedStart, (int)(Layout.ReservedEnd - Layout.ReservedStart));
        Reserve(Layout.HighReservedStart, (int)(Layout.HighReservedEnd - Layout.HighReservedStart));
        const int flags = Libc.MAP_FIXED | Libc.MAP_PRIVATE | Libc.MAP_ANONYMOUS | Libc.MAP_POPULATE;
        Libc.Map(ControlAddress, Layout.PageSize, Libc.PROT_READ | Libc.PROT_WRITE, flags);
        Libc.Map(SignalStackAddress, SignalStackSize, Libc.PROT_READ | Libc.PROT_WRITE, flags);

        _codeFile = Libc.CreateMemoryFile("uml-differential-code", 2 * Layout.PageSize);
        _writableCode = MapShared(0, 2 * Layout.PageSize, Libc.PROT_READ | Libc.PROT_WRITE, _codeFile, 0);
        MapShared(Layout.Code, Layout.PageSize, Libc.PROT_READ | Libc.PROT_EXEC, _codeFile, 0);
        MapShared(ThunkAddress, Layout.PageSize, Libc.PROT_READ | Libc.PROT_EXEC, _codeFile, Layout.PageSize);
        _memoryFile = Libc.CreateMemoryFile("uml-differential-data", Layout.MemorySize);
        _writableMemory = MapShared(0, Layout.MemorySize, Libc.PROT_READ | Libc.PROT_WRITE, _memoryFile, 0);
        MapWindows();

        var emitter = new ThunkEmitter(ControlAddress, ThunkAddress, HasGsBase, HostProcessor.HasAvx);
        byte[] thunk = emitter.Emit();
        thunk.CopyTo(new Span<byte>(_writableCode + Layout.PageSize, Layout.PageSize));
        _exit = emitter.Exit;
        _enter = (delegate* unmanaged<void>)(bitness == 32 ? emitter.Enter32 : emitter.Enter64);
        _slots = BuildSlots();
        _slots.CopyTo(new Span<byte>(_writableCode, Layout.PageSize));
        HostCanary.Fill(new Span<byte>(_writableMemory, Layout.MemorySize));
        InitialiseControl();
        InstallHandlers(emitter.Handler);
    }

    public static bool IsSupported => OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture == Architecture.X64;

    /// <summary>Skips the test that runs where there is no processor to compare with.</summary>
    /// <param name="bitness">Of the programs: 64, or 32.</param>
    public static void Require(int bitness)
    {
        if (!IsSupported)
        {
            Assert.Ignore("The host is not Linux on x86-64.");
        }

        if (bitness == 32 && !HostProcessor.HasCode32)
        {
            Assert.Ignore("The host has no 32-bit code segment for user mode.");
        }
    }

    /// <summary>Whether programs may use RDGSBASE, WRGSBASE and GS-relative operands.</summary>
    public static bool HasGsBase => (Libc.GetAuxiliaryValue(Libc.AT_HWCAP2) & Libc.HWCAP2_FSGSBASE) != 0;

    public string Name => "native";

    /// <inheritdoc/>
    public ProcessorVendor Vendor => HostProcessor.Vendor;

    /// <inheritdoc/>
    /// <remarks>
    /// Hypervisors without hardware virtualization emulate loads of segment registers, and one of them does not come back in one case out
    /// of ten million.
    /// </remarks>
    public bool Runs(Code form) => form is not (Code.Mov_Sreg_rm16 or Code.Mov_Sreg_r32m16 or Code.Mov_Sreg_r64m16);

    /// <inheritdoc/>
    /// <remarks>
    /// An invalid opcode counts when the processor says so each time it is asked. A processor may be a virtual one, whose hypervisor
    /// emulates an instruction that touches a page it has not mapped at that moment, and raises #UD for what its emulator lacks.
    /// </remarks>
    public void Execute(ref MachineSnapshot state, ReadOnlySpan<byte> code, Span<byte> memory)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(code.Length, Layout.MaxProgramSize);

        // SAFETY: the addresses are mapped for the life of this object; the thunk restores all host state it changes, and a fault
        // inside it comes back through the handler.
        var page = new Span<byte>(_writableCode, Layout.PageSize);
        int offset = (int)(state.Rip - Layout.Code);
        Span<byte> end = page.Slice(offset + code.Length, Layout.SlotStride);
        code.CopyTo(page[offset..]);
        WriteSlot(end, state.Rip + (ulong)code.Length);
        state.ErrorCode = 0;
        state.Cr2 = 0;
        for (int run = 0; run < InvalidOpcodeRuns; run++)
        {
            memory.CopyTo(new Span<byte>(_writableMemory, Layout.MemorySize));
            _control->State = state;
            _enter();
            if (_control->State.Vector != InvalidOpcode)
            {
                break;
            }
        }

        state = _control->State;
        var windows = new Span<byte>(_writableMemory, Layout.MemorySize);
        windows.CopyTo(memory);
        HostCanary.Fill(windows);
        int dirty = code.Length + Layout.SlotStride;
        _slots.AsSpan(offset, dirty).CopyTo(page[offset..]);
    }

    /// <summary>What something else than a program has written to the windows since the last one ran; null when nothing has.</summary>
    public string? FindForeignWrite()
    {
        // SAFETY: mapped for the life of this object.
        int at = HostCanary.CountUntouched(new ReadOnlySpan<byte>(_writableMemory, Layout.MemorySize));
        return at == Layout.MemorySize ? null : $"memory of the host was written to: at 0x{Layout.AddressOf(at):x}";
    }

    public void Dispose()
    {
        foreach ((int signal, SigactionData action) in _previous)
        {
            Libc.Exchange(signal, action);
        }

        Libc.Unmap((ulong)_writableCode, 2 * Layout.PageSize);
        Libc.Unmap((ulong)_writableMemory, Layout.MemorySize);
        foreach ((ulong start, ulong length) in _reservations)
        {
            Libc.Unmap(start, length);
        }

        _ = Libc.Close(_codeFile);
        _ = Libc.Close(_memoryFile);
        s_exclusive.Release();
    }

    private void Reserve(ulong start, int length)
    {
        const int flags = Libc.MAP_FIXED_NOREPLACE | Libc.MAP_PRIVATE | Libc.MAP_ANONYMOUS | Libc.MAP_NORESERVE;
        Libc.Map(start, length, Libc.PROT_NONE, flags);
        _reservations.Add((start, (ulong)length));
    }

    private static byte* MapShared(ulong address, int length, int protection, int file, int offset) =>
        Libc.Map(address, length, protection, Libc.MAP_SHARED | Libc.MAP_POPULATE | (address != 0 ? Libc.MAP_FIXED : 0), file, offset);

    private void MapWindows()
    {
        int offset = 0;
        foreach (Window window in Layout.Windows)
        {
            int protection = window.Writable ? Libc.PROT_READ | Libc.PROT_WRITE : Libc.PROT_READ;
            MapShared(window.Start, window.Size, protection, _memoryFile, offset);
            offset += window.Size;
        }
    }

    private byte[] BuildSlots()
    {
        byte[] slots = new byte[Layout.PageSize];
        for (int offset = 0; offset < slots.Length; offset += Layout.SlotStride)
        {
            WriteSlot(slots.AsSpan(offset, Layout.SlotStride), Layout.Code + (ulong)offset);
        }

        slots[^1] = 0xC3; // RET, see ThunkEmitter
        return slots;
    }

    /// <summary>An exit slot: notes its own address and leaves, without touching registers or flags.</summary>
    private void WriteSlot(Span<byte> slot, ulong address)
    {
        ulong exitRip = ControlAddress + (ulong)Marshal.OffsetOf<NativeControl>(nameof(NativeControl.ExitRip));

        // MOV dword ss:[exitRip], address: through SS, as a program may have changed DS. ModRM 05 is RIP-relative in 64-bit mode and
        // absolute in 32-bit mode.
        slot[0] = 0x36;
        slot[1] = 0xC7;
        slot[2] = 0x05;
        MemoryMarshal.Write(slot[3..], (uint)(_bitness == 64 ? exitRip - (address + 11) : exitRip));
        MemoryMarshal.Write(slot[7..], (uint)address);
        if (_bitness == 64)
        {
            slot[11] = 0xE9; // JMP rel32
            MemoryMarshal.Write(slot[12..], (uint)(_exit - (address + 16)));
        }
        else
        {
            slot[11] = 0xEA; // JMP ptr16:32
            MemoryMarshal.Write(slot[12..], (uint)_exit);
            MemoryMarshal.Write(slot[16..], Layout.UserCode64);
        }
    }

    private void InitialiseControl()
    {
        ulong faults = 0;
        foreach (int signal in s_faultSignals)
        {
            faults |= 1UL << (signal - 1);
        }

        _control->SignalMask = ~faults;
        _control->OwnStack = new SignalStack { Pointer = SignalStackAddress, Size = SignalStackSize };
    }

    private void InstallHandlers(ulong handler)
    {
        foreach (int signal in s_faultSignals)
        {
            SigactionData old = Libc.Query(signal);
            if (old.Handler <= 1)
            {
                throw new InvalidOperationException($"Signal {signal} has no handler of the runtime's to pass foreign faults on to.");
            }

            _control->PreviousHandlers[signal] = old.Handler;
            if ((old.Flags & Libc.SA_ONSTACK) == 0)
            {
                _control->InterruptedStackSignals |= 1UL << signal;
            }

            SigactionData own = old;
            own.Handler = handler;
            own.Flags |= Libc.SA_SIGINFO | Libc.SA_ONSTACK;
            Libc.Exchange(signal, own);
            _previous.Add((signal, old));
        }
    }
}
