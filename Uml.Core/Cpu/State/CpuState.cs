using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Uml.Core.Cpu.State;

/// <summary>
/// The architectural state of a virtual CPU, all of it and nothing else: one blittable part that a snapshot can take as it is. It lies in
/// unmanaged memory at a fixed place, and what the engine keeps beside it lies behind it (<see cref="EngineState"/> and those that say so),
/// so that interpreter handlers, shared helpers and emitted code reach everything through one pointer. Register operands of decoded
/// operations are byte offsets from it.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct CpuState
{
    public const int GprCount = 16;

    /// <summary>
    /// From the start to the first general register. Nothing may be in front of them: translated code has its stack pointer among them, and
    /// the host puts signal frames below it (<see cref="EngineState.SignalStack"/>).
    /// </summary>
    public const int GprStart = 0;

    /// <summary>RAX RCX RDX RBX RSP RBP RSI RDI R8..R15, in encoding order.</summary>
    public fixed ulong Gpr[GprCount];

    // ---- vector and floating-point state ----

    /// <summary>YMM0..YMM15, with XMM0..XMM15 as their low halves.</summary>
    public VectorRegisters Vectors;
    public X87State X87;
    public uint Mxcsr;

    /// <summary>What the CPU model has; set once, before anything is decoded.</summary>
    public CpuFeatures Features;

    // ---- segments and descriptor tables ----

    public SegmentRegisters Segments;
    public ulong GdtBase;
    public ulong IdtBase;
    public ushort GdtLimit;
    public ushort IdtLimit;

    /// <summary>Current privilege level, 0 to 3.</summary>
    public byte Cpl;

    // ---- what waits between two instructions ----

    /// <summary>Interrupts are held off for one instruction (STI, MOV SS, POP SS; Intel SDM vol. 3, 6.8.3).</summary>
    public bool InterruptShadow;

    /// <summary>Halted by HLT until an interrupt arrives.</summary>
    public bool Halted;

    /// <summary>Non-maskable interrupts are held off from the delivery of one until the next IRET (Intel SDM vol. 3, 6.7.1).</summary>
    public bool NmiBlocked;

    /// <summary>Non-zero while a non-maskable interrupt waits; written by any thread.</summary>
    public int NmiLine;

    /// <summary>DR6 bits of data breakpoints that MOV SS or POP SS hit: they become those of the next instruction (see DebugTraps).</summary>
    public uint HeldDebug;

    // ---- control, debug and model-specific registers ----

    public ulong Cr0, Cr2, Cr3, Cr4;
    public ulong Xcr0;
    public ulong Dr0, Dr1, Dr2, Dr3, Dr6, Dr7;
    public ulong Efer;
    public ulong Star, LStar, CStar, SfMask;
    public ulong KernelGsBase;
    public ulong SysenterCs, SysenterEsp, SysenterEip;
    public ulong TscAux;
    public ulong TscAdjust;
    public ulong Pat;
    public ulong MiscEnable, DebugControl, MachineCheckStatus;
    public MemoryTypeRanges MemoryTypes;

    // ---- follows from the above: Mmu.UpdateMode ----

    /// <summary>What decoded blocks depend on besides their bytes.</summary>
    public CpuMode Mode;

    /// <summary>RIP wraps at this mask: all ones in 64-bit mode, 32 or 16 bits otherwise.</summary>
    public ulong IpMask;

    /// <summary>RSP wraps at this mask for implicit stack accesses.</summary>
    public ulong StackMask;

    // ---- hot ----

    /// <summary>RIP, exact whenever no block runs (EIP/IP in legacy modes).</summary>
    public ulong Rip;

    /// <summary>Arithmetic flags, lazily: see <see cref="Flags"/>.</summary>
    public ulong FlagResult;
    public ulong FlagAux;

    /// <summary>RFLAGS without CF PF AF ZF SF OF. Bit 1 is always set.</summary>
    public ulong SystemFlags;

    /// <summary>What the engine keeps beside this state.</summary>
    public readonly EngineState* Engine
    {
        // SAFETY: a CpuState is always the first part of a processor's memory, which does not move; EngineState is the next.
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => (EngineState*)((CpuState*)Unsafe.AsPointer(ref Unsafe.AsRef(in this)) + 1);
    }

    /// <summary>Byte offset of a general register (of its low byte; AH to BH are one byte further).</summary>
    public static int GprOffset(int number) => GprStart + (number * 8);

    // Measured on the struct itself: Marshal.OffsetOf describes the marshalled layout, where a bool has four bytes.
    public static readonly int VectorsOffset = Measure(static s => &s->Vectors);
    public static readonly int X87Offset = Measure(static s => &s->X87);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ref T At<T>(CpuState* s, int offset) where T : unmanaged => ref *(T*)((byte*)s + offset);

    internal delegate void* FieldAddress(CpuState* s);

    /// <summary>From the start of the state to a field, its own or of what lies behind it.</summary>
    internal static int Measure(FieldAddress field)
    {
        // SAFETY: addresses are computed and never followed.
        CpuState state;
        return (int)((byte*)field(&state) - (byte*)&state);
    }
}

/// <summary>Sixteen 32-byte vector registers.</summary>
[InlineArray(16)]
internal struct VectorRegisters
{
    private Vector256<byte> _element;
}
