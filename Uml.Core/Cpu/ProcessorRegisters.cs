using System.Runtime.Intrinsics;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu;

/// <summary>The registers of one virtual CPU, for reading and writing while the machine is not running.</summary>
/// <remarks>
/// Everything that the guest can see of its processor is here, but for CR8 and the model-specific registers of devices, which are the local
/// APIC's and theirs. No privilege is checked and nothing faults. What a register cannot hold by itself (reserved bits, addresses that are not
/// canonical) is a <see cref="RegisterValueException"/>; rules between registers are not checked, so that a state can be written in any order, and
/// must hold when the guest goes on. Members throw <see cref="InvalidOperationException"/>
/// while the machine runs (pause it first) and <see cref="ObjectDisposedException"/> after it was disposed.
/// </remarks>
public sealed unsafe partial class ProcessorRegisters
{
    private CpuState* _state;
    private bool _running;

    // SAFETY: the virtual CPU owns the state and calls Invalidate before it frees it.
    internal ProcessorRegisters(CpuState* state)
    {
        _state = state;
        Xmm = new XmmRegisters(this);
        Ymm = new YmmRegisters(this);
        St = new X87Stack(this);
        Msr = new MsrRegisters(this);
    }

    /// <summary>RAX.</summary>
    public ulong Rax { get => GetGpr(0); set => SetGpr(0, value); }

    /// <summary>RCX.</summary>
    public ulong Rcx { get => GetGpr(1); set => SetGpr(1, value); }

    /// <summary>RDX.</summary>
    public ulong Rdx { get => GetGpr(2); set => SetGpr(2, value); }

    /// <summary>RBX.</summary>
    public ulong Rbx { get => GetGpr(3); set => SetGpr(3, value); }

    /// <summary>RSP.</summary>
    public ulong Rsp { get => GetGpr(4); set => SetGpr(4, value); }

    /// <summary>RBP.</summary>
    public ulong Rbp { get => GetGpr(5); set => SetGpr(5, value); }

    /// <summary>RSI.</summary>
    public ulong Rsi { get => GetGpr(6); set => SetGpr(6, value); }

    /// <summary>RDI.</summary>
    public ulong Rdi { get => GetGpr(7); set => SetGpr(7, value); }

    /// <summary>R8.</summary>
    public ulong R8 { get => GetGpr(8); set => SetGpr(8, value); }

    /// <summary>R9.</summary>
    public ulong R9 { get => GetGpr(9); set => SetGpr(9, value); }

    /// <summary>R10.</summary>
    public ulong R10 { get => GetGpr(10); set => SetGpr(10, value); }

    /// <summary>R11.</summary>
    public ulong R11 { get => GetGpr(11); set => SetGpr(11, value); }

    /// <summary>R12.</summary>
    public ulong R12 { get => GetGpr(12); set => SetGpr(12, value); }

    /// <summary>R13.</summary>
    public ulong R13 { get => GetGpr(13); set => SetGpr(13, value); }

    /// <summary>R14.</summary>
    public ulong R14 { get => GetGpr(14); set => SetGpr(14, value); }

    /// <summary>R15.</summary>
    public ulong R15 { get => GetGpr(15); set => SetGpr(15, value); }

    /// <summary>RIP: the next instruction to run, as an offset in CS. Where no instruction can be, its fetch faults.</summary>
    public ulong Rip { get => Get<ulong>(static s => &s->Rip); set => Set(static s => &s->Rip, value); }

    /// <summary>RFLAGS. Reserved bits keep their fixed values when written.</summary>
    public ulong Rflags
    {
        get
        {
            lock (Access)
            {
                return Flags.Get(State);
            }
        }

        set
        {
            lock (Access)
            {
                Flags.Set(State, value);
                Mmu.UpdateMode(State);
                DebugState.RefreshStepping(State);
                EventLines.LookAgain(State);
            }
        }
    }

    /// <summary>The current privilege level, 0 to 3. It follows the DPL of SS when that is written: write it behind SS.</summary>
    /// <exception cref="RegisterValueException">There is no such level.</exception>
    public int PrivilegeLevel
    {
        get => Get<byte>(static s => &s->Cpl);
        set
        {
            RegisterValueException.ThrowIf(value is < 0 or > 3 ? RegisterRefusal.PrivilegeLevel : RegisterRefusal.None, (ulong)value);
            lock (Access)
            {
                State->Cpl = (byte)value;
                Mmu.UpdateMode(State);
            }
        }
    }

    /// <summary>XMM0 to XMM15.</summary>
    public XmmRegisters Xmm { get; }

    /// <summary>YMM0 to YMM15, of which XMM0 to XMM15 are the low halves. Without use to a CPU model that has no AVX.</summary>
    public YmmRegisters Ymm { get; }

    /// <summary>ST(0) to ST(7).</summary>
    public X87Stack St { get; }

    /// <summary>
    /// Held while the state is touched. The machine goes on, and its memory is freed, only behind whoever holds it: other threads may read
    /// and write registers while one resumes or disposes the machine.
    /// </summary>
    internal Lock Access { get; } = new();

    /// <summary>The state, when it may be touched; to be used under <see cref="Access"/>.</summary>
    internal CpuState* State
    {
        get
        {
            if (_running)
            {
                throw new InvalidOperationException("The machine is running; pause it before reading or writing its registers.");
            }

            ObjectDisposedException.ThrowIf(_state is null, this);
            return _state;
        }
    }

    /// <summary>Whether nothing has moved the CPU from its reset vector (Intel SDM vol. 3, 10.1.4).</summary>
    internal bool IsAtReset
    {
        get
        {
            lock (Access)
            {
                return State->Rip == 0xFFF0 && State->Segments[(int)SegmentIndex.Cs].Base == 0xFFFF0000;
            }
        }
    }

    /// <summary>RIP for messages, on the machine's thread, also while it runs.</summary>
    internal ulong ReadRip() => _state is null ? 0 : _state->Rip;

    /// <summary>Opens or closes the registers to the host program.</summary>
    internal void SetRunning(bool running)
    {
        lock (Access)
        {
            _running = running;
        }
    }

    /// <summary>Forgets the state, which is about to be freed.</summary>
    internal void Invalidate()
    {
        lock (Access)
        {
            _state = null;
        }
    }

    internal ulong GetGpr(int number)
    {
        lock (Access)
        {
            return State->Gpr[number];
        }
    }

    internal void SetGpr(int number, ulong value)
    {
        lock (Access)
        {
            State->Gpr[number] = value;
        }
    }

    private T Get<T>(CpuState.FieldAddress field)
        where T : unmanaged
    {
        lock (Access)
        {
            return *(T*)field(State);
        }
    }

    private void Set<T>(CpuState.FieldAddress field, T value)
        where T : unmanaged
    {
        lock (Access)
        {
            *(T*)field(State) = value;
        }
    }

    internal T GetVector<T>(int index)
        where T : unmanaged
    {
        lock (Access)
        {
            return *(T*)LocateVector(index);
        }
    }

    internal void SetVector<T>(int index, T value)
        where T : unmanaged
    {
        lock (Access)
        {
            *(T*)LocateVector(index) = value;
        }
    }

    private byte* LocateVector(int index)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(index, 15);

        // SAFETY: sixteen 32-byte slots start at VectorsOffset of the state, which is unmanaged memory.
        return (byte*)State + CpuState.VectorsOffset + (index * 32);
    }
}

/// <summary>The XMM registers of a virtual CPU.</summary>
public sealed class XmmRegisters
{
    private readonly ProcessorRegisters _registers;

    internal XmmRegisters(ProcessorRegisters registers) => _registers = registers;

    /// <summary>One register. Writing leaves the upper half of the YMM register alone.</summary>
    /// <param name="index">0 to 15.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such register.</exception>
    public Vector128<byte> this[int index]
    {
        get => _registers.GetVector<Vector128<byte>>(index);
        set => _registers.SetVector(index, value);
    }
}

/// <summary>The YMM registers of a virtual CPU.</summary>
public sealed class YmmRegisters
{
    private readonly ProcessorRegisters _registers;

    internal YmmRegisters(ProcessorRegisters registers) => _registers = registers;

    /// <summary>One register.</summary>
    /// <param name="index">0 to 15.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such register.</exception>
    public Vector256<byte> this[int index]
    {
        get => _registers.GetVector<Vector256<byte>>(index);
        set => _registers.SetVector(index, value);
    }
}
