using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Uml.Core.Cpu.State;

/// <summary>
/// The complete architectural state of a virtual CPU: one blittable struct that a snapshot can copy. It is in unmanaged memory and does not
/// move; the engine's own state follows it (see <c>ProcessorMemory</c>), so that handlers, helpers and emitted code
/// reach everything through one pointer. Register operands of decoded operations are byte offsets from it.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct CpuState
{
    public const int GprCount = 16;

    /// <summary>
    /// Offset of the first general register. Nothing may be in front of them: the stack pointer of translated code points among them, and
    /// the host writes signal frames below it (<see cref="EngineState.SignalStack"/>).
    /// </summary>
    public const int GprStart = 0;

    /// <summary>RAX RCX RDX RBX RSP RBP RSI RDI R8..R15, in encoding order.</summary>
    public fixed ulong Gpr[GprCount];

    /// <summary>Scratch of translated code, without meaning while the guest does not run: the only part that is not architectural.</summary>
    public HotWords Hot;

    // ---- vector and floating-point state ----

    /// <summary>YMM0..YMM15, with XMM0..XMM15 as their low halves.</summary>
    public VectorRegisters Vectors;
    public X87State X87;
    public uint Mxcsr;

    /// <summary>The features of the CPU model; set once, before anything is decoded.</summary>
    public CpuFeatures Features;

    // ---- segments and descriptor tables ----

    public SegmentRegisters Segments;
    public ulong GdtBase;
    public ulong IdtBase;
    public ushort GdtLimit;
    public ushort IdtLimit;

    /// <summary>Current privilege level, 0 to 3.</summary>
    public byte Cpl;

    // ---- events pending at an instruction boundary ----

    /// <summary>Interrupts are inhibited for one instruction (STI, MOV SS, POP SS; Intel SDM vol. 3, 6.8.3).</summary>
    public bool InterruptShadow;

    /// <summary>Halted by HLT until an interrupt arrives.</summary>
    public bool Halted;

    /// <summary>Non-maskable interrupts are blocked, from the delivery of one until the next IRET (Intel SDM vol. 3, 6.7.1).</summary>
    public bool NmiBlocked;

    /// <summary>Non-zero while a non-maskable interrupt is pending; written by any thread.</summary>
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

    // ---- derived from the above by Mmu.UpdateMode ----

    /// <summary>The part of a block's key that depends on this state.</summary>
    public CpuMode Mode;

    /// <summary>RIP wraps at this mask: all ones in 64-bit mode, 32 or 16 bits otherwise.</summary>
    public ulong IpMask;

    /// <summary>RSP wraps at this mask for implicit stack accesses.</summary>
    public ulong StackMask;

    // ---- hot ----

    /// <summary>RIP, exact whenever no block runs (EIP/IP in legacy modes).</summary>
    public ulong Rip;

    /// <summary>Arithmetic flags, evaluated lazily: see <see cref="Flags"/>.</summary>
    public ulong FlagResult;
    public ulong FlagAux;

    /// <summary>RFLAGS without CF PF AF ZF SF OF. Bit 1 is always set.</summary>
    public ulong SystemFlags;

    /// <summary>The engine's own state, which follows this struct.</summary>
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

    /// <summary>The offset of a field from the start of the state; the field may be of a struct that follows.</summary>
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
