using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Paging;
using Uml.Core.Memory;

namespace Uml.Core.Cpu.State;

/// <summary>
/// Everything a virtual CPU is, in unmanaged memory at fixed offsets: interpreter handlers, shared helpers and emitted code
/// reach it through one pointer. Register operands of decoded operations are byte offsets into it.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct CpuState
{
    public const int GprCount = 16;

    /// <summary>
    /// Bytes that have to be free below the state: translated code has its stack pointer in here, so this is where the host puts the
    /// frame of a signal, and runs its handler. Pages that are never touched cost nothing.
    /// </summary>
    public const ulong SignalStack = 1 << 18;

    // ---- hot: general registers at offset 0, so that operand offset = 8 * number (+ 1 for AH..BH) ----

    /// <summary>RAX RCX RDX RBX RSP RBP RSI RDI R8..R15, in encoding order.</summary>
    public fixed ulong Gpr[GprCount];

    // ---- hot in translated code: within a one-byte displacement of R12, which its state register points to ----

    /// <summary>Instructions that may still retire before the engine has to return. Counted down block by block.</summary>
    public long Remaining;

    /// <summary>Linear address of the page the running translation is mapped at: its RIP is this plus a constant.</summary>
    public ulong PageRip;

    /// <summary>Arithmetic flags as LAHF and SETO leave them in AX; the truth while translated code runs, when the host's flags are not.</summary>
    public ulong FlagWord;

    /// <summary>Where indirect jumps led, for the address space and view in force (see <c>JumpTables</c>).</summary>
    public byte* JumpTable;

    /// <summary>Hold values across a memory access in the middle of an instruction.</summary>
    public ulong Spill;
    public ulong SecondSpill;

    /// <summary>Host addresses of groups of accesses, while other accesses come between theirs.</summary>
    public GroupAddresses GroupAddresses;

    /// <summary>What the flags of an instruction can be made of again, until others take their place.</summary>
    public ulong KeptFirst;
    public ulong KeptSecond;

    // ---- hot in the interpreter ----

    /// <summary>Always zero: the base or index of an address that has none.</summary>
    public ulong Zero;

    /// <summary>RIP of the first instruction of the block that runs: the base of RIP-relative addresses and of <see cref="Op.Offset"/>.</summary>
    public ulong BlockRip;

    /// <summary>RIP, exact whenever no block runs (EIP/IP in legacy modes).</summary>
    public ulong Rip;

    /// <summary>Arithmetic flags, lazily: see <see cref="Flags"/>.</summary>
    public ulong FlagResult;
    public ulong FlagAux;

    /// <summary>RFLAGS without CF PF AF ZF SF OF. Bit 1 is always set.</summary>
    public ulong SystemFlags;

    /// <summary>While translated code runs: what of the budget is not in <see cref="Remaining"/> (see <c>Slices</c>).</summary>
    public long Reserve;

    /// <summary>Non-zero asks the engine to return at the next block boundary (<see cref="Attention"/> bits; other threads set it).</summary>
    public int Poll;

    /// <summary>Why the last handler returned null.</summary>
    public ExitCode Exit;

    public Block* CurrentBlock;

    /// <summary>The operation that runs: slow paths find RIP and the exact count of retired instructions through it.</summary>
    public Op* CurrentOp;

    /// <summary>The translation buffer of the current address space and privilege.</summary>
    public TlbEntry* Tlb;

    public JumpCacheEntry* JumpCache;

    /// <summary>The host's stack pointer while translated code runs, which has its own at <see cref="Gpr"/>; 0 when none runs.</summary>
    public ulong HostStack;

    /// <summary>Guest RAM: host address of its first byte, and the guest-physical ends of its two ranges (see <see cref="GuestRam"/>).</summary>
    public byte* RamBase;
    public ulong RamLowEnd;
    public ulong RamHighEnd;
    public PageInfo* Pages;

    /// <summary>The level of the INTR pin; written by any thread.</summary>
    public int InterruptLine;

    /// <summary>Non-zero while a non-maskable interrupt waits; written by any thread.</summary>
    public int NmiLine;

    /// <summary>Handle to the owning <see cref="VirtualCpu"/>, for slow paths.</summary>
    public nint OwnerHandle;

    // ---- mode ----

    /// <summary>What decoded blocks depend on besides their bytes.</summary>
    public CpuMode Mode;

    /// <summary>What the CPU model has; set once, before anything is decoded.</summary>
    public CpuFeatures Features;

    /// <summary>Current privilege level, 0 to 3.</summary>
    public byte Cpl;

    /// <summary>RIP wraps at this mask: all ones in 64-bit mode, 32 or 16 bits otherwise.</summary>
    public ulong IpMask;

    /// <summary>RSP wraps at this mask for implicit stack accesses.</summary>
    public ulong StackMask;

    // ---- pending exception, valid while Exit is Exception or ExceptionAtRip ----

    public byte ExceptionVector;
    public bool ExceptionHasError;
    public uint ExceptionError;

    /// <summary>Interrupts are held off for one instruction (STI, MOV SS, POP SS; Intel SDM vol. 3, 6.8.3).</summary>
    public bool InterruptShadow;

    /// <summary>Halted by HLT until an interrupt arrives.</summary>
    public bool Halted;

    /// <summary>Non-maskable interrupts are held off from the delivery of one until the next IRET (Intel SDM vol. 3, 6.7.1).</summary>
    public bool NmiBlocked;

    /// <summary>The instruction that runs began with TF set: #DB follows it, unless it is one that takes this back (see DebugTraps).</summary>
    public bool StepTrap;

    /// <summary>DR6 bits of data and I/O breakpoints the running instruction hit: #DB follows it.</summary>
    public uint PendingDebug;

    /// <summary>DR6 bits of data breakpoints that MOV SS or POP SS hit: they become <see cref="PendingDebug"/> of the next instruction.</summary>
    public uint HeldDebug;

    // ---- segments and descriptor tables ----

    public SegmentRegisters Segments;
    public ulong GdtBase;
    public ulong IdtBase;
    public ushort GdtLimit;
    public ushort IdtLimit;

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
    public TimeStampScale TimeStamps;
    public ulong Pat;
    public ulong MiscEnable, DebugControl, MachineCheckStatus;
    public MemoryTypeRanges MemoryTypes;

    // ---- the emitted page walk, see EmittedPageWalk ----

    /// <summary>What U/S of a page has to be in the view in force: these bits of its rights have to equal the second field.</summary>
    public ulong WalkMask, WalkWant;

    /// <summary>Bits that must be clear in every paging-structure entry.</summary>
    public ulong WalkReserved;

    /// <summary>The ranges of large pages that the current address space has noted.</summary>
    public LargePageRange* LargePages;

    /// <summary>The first entry of the <see cref="WalkCache"/>.</summary>
    public byte* Walks;

    // ---- slow paths of translated code ----

    /// <summary>The operation to go on with in the interpreter after translated code has been left; null when <see cref="Exit"/> tells.</summary>
    public Op* NextOp;

    /// <summary>Not zero while <see cref="AccessBuffer"/> holds an operand that has to be written to guest memory when the instruction is done.</summary>
    public int CommitSize;
    public SegmentIndex CommitSegment;
    public ulong CommitLinear;

    /// <summary>Stands in for an operand that is not plain memory: 64 bytes, aligned for every vector.</summary>
    public AccessBuffer AccessBuffer;

    /// <summary>The x87 unit as FNSAVE writes it and FRSTOR reads it (Intel SDM vol. 1, figure 8-9), on the way to and from the host's.</summary>
    public FsaveImage X87Image;

    /// <summary>Not zero: the truth about the x87 unit is in <see cref="X87Image"/>, left there by translated code.</summary>
    public int X87Left;

    // ---- vector and floating-point state ----

    /// <summary>MXCSR as .NET expects it, for calls from translated code: the default, whatever the application has chosen for itself.</summary>
    public uint HostMxcsr;
    public uint Mxcsr;
    public X87State X87;

    /// <summary>YMM0..YMM15, with XMM0..XMM15 as their low halves.</summary>
    public VectorRegisters Vectors;

    /// <summary>Statistics: nothing the guest can see.</summary>
    public CpuCounters Counters;

    /// <summary>Byte offset of a general register.</summary>
    public static int GprOffset(int number) => number * 8;

    // Measured on the struct itself: Marshal.OffsetOf describes the marshalled layout, where a bool has four bytes.
    public static readonly int ZeroOffset = Measure(static s => &s->Zero);
    public static readonly int BlockRipOffset = Measure(static s => &s->BlockRip);
    public static readonly int VectorsOffset = Measure(static s => &s->Vectors);
    public static readonly int X87Offset = Measure(static s => &s->X87);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ref T At<T>(CpuState* s, int offset) where T : unmanaged => ref *(T*)((byte*)s + offset);

    internal delegate void* FieldAddress(CpuState* s);

    internal static int Measure(FieldAddress field)
    {
        CpuState state;
        return (int)((byte*)field(&state) - (byte*)&state);
    }
}

/// <summary>What FNSAVE writes with 32-bit operands: seven words and eight registers of ten bytes.</summary>
[InlineArray(108)]
internal struct FsaveImage
{
    private byte _element;
}

/// <summary>A host address for each group of accesses that may be open.</summary>
[InlineArray(Translate.AccessGroups.Slots)]
internal struct GroupAddresses
{
    private ulong _element;
}

/// <summary>Room for the largest memory operand that is translated.</summary>
[InlineArray(2)]
internal struct AccessBuffer
{
    /// <summary>Bytes.</summary>
    public const int Size = 64;

    private Vector256<byte> _element;
}

/// <summary>Sixteen 32-byte vector registers.</summary>
[InlineArray(16)]
internal struct VectorRegisters
{
    private Vector256<byte> _element;
}

/// <summary>Segment registers with their hidden parts, in the order of <see cref="SegmentIndex"/>.</summary>
[InlineArray(8)]
internal struct SegmentRegisters
{
    private SegmentRegister _element;
}

internal enum SegmentIndex : byte { Es, Cs, Ss, Ds, Fs, Gs, Ldtr, Tr }

/// <summary>A segment register: selector and descriptor cache (Intel SDM vol. 3, 3.4.3).</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct SegmentRegister
{
    public ulong Base;

    /// <summary>Last valid offset in bytes, granularity applied.</summary>
    public uint Limit;
    public ushort Selector;

    /// <summary>Where emitted code finds the selector.</summary>
    public const int SelectorOffset = 12;

    /// <summary>
    /// Bits 40..47 and 52..55 of the descriptor, packed as in VMX access rights (Intel SDM vol. 3, table 24-2):
    /// type 0-3, S 4, DPL 5-6, P 7, AVL 12, L 13, D/B 14, G 15. Zero: unusable (null selector).
    /// </summary>
    public ushort Attributes;

    public const ushort TypeMask = 0xF, S = 1 << 4, DplMask = 3 << 5, Present = 1 << 7, L = 1 << 13, Db = 1 << 14, G = 1 << 15;

    public readonly int Dpl => (Attributes >> 5) & 3;
    public readonly bool IsCode => (Attributes & (S | 8)) == (S | 8);
    public readonly bool IsUsable => (Attributes & Present) != 0;
}

/// <summary>What a translation of code depends on besides its bytes; part of a block's key.</summary>
[Flags]
internal enum CpuMode : uint
{
    None = 0,

    /// <summary>64-bit mode: EFER.LMA and CS.L.</summary>
    Long64 = 1,

    /// <summary>CS.D: default operand and address size 32 bits.</summary>
    Code32 = 2,

    /// <summary>Protected mode (CR0.PE).</summary>
    Protected = 4,

    /// <summary>EFER.LMA.</summary>
    LongActive = 8,

    /// <summary>CPL 3.</summary>
    User = 16,

    /// <summary>Not in 64-bit mode, and DS, ES or SS is not a flat, writable 4 GiB segment: accesses check limits and add bases.</summary>
    Segmented = 32,

    /// <summary>SS.B: implicit stack accesses use ESP.</summary>
    Stack32 = 64,

    /// <summary>Virtual-8086 mode.</summary>
    Virtual8086 = 128,

    /// <summary>SSE instructions raise #UD or #NM (CR0.EM, CR0.TS, CR4.OSFXSR).</summary>
    VectorDisabled = 256,

    /// <summary>x87 and MMX instructions raise #NM or #UD (CR0.EM, CR0.TS).</summary>
    X87Disabled = 512,

    /// <summary>AVX instructions raise #UD or #NM (CR4.OSXSAVE, XCR0, CR0.TS, real-address and virtual-8086 mode).</summary>
    AvxDisabled = 1024,

    /// <summary>Not in 64-bit mode, and FS is a writable segment of 4 GiB, wherever it begins.</summary>
    UnlimitedFs = 2048,

    /// <summary>Likewise GS.</summary>
    UnlimitedGs = 4096,
}

/// <summary>Bits of <see cref="CpuState.Poll"/>.</summary>
[Flags]
internal enum Attention
{
    None = 0,

    /// <summary>The local APIC drives INTR.</summary>
    Interrupt = 1,

    /// <summary>A non-maskable interrupt is pending.</summary>
    Nmi = 2,

    /// <summary>The machine's thread has something to do: posted actions, a due timer, pause, stop.</summary>
    Machine = 4,

    /// <summary>TF, an enabled breakpoint or an interrupt shadow: the engine goes instruction by instruction.</summary>
    SingleStep = 8,
}

/// <summary>Why a handler returned null.</summary>
internal enum ExitCode
{
    /// <summary>The block ended; <see cref="CpuState.Rip"/> says where to go on.</summary>
    BlockEnd,

    /// <summary>An exception at the current operation: RIP is that instruction's, its effects are undone.</summary>
    Exception,

    /// <summary>An exception whose RIP is already in <see cref="CpuState.Rip"/>.</summary>
    ExceptionAtRip,

    /// <summary>Budget used up or <see cref="CpuState.Poll"/> set; <see cref="CpuState.Rip"/> is exact and nothing of the next block ran.</summary>
    Attention,

    /// <summary>HLT retired; <see cref="CpuState.Rip"/> is behind it.</summary>
    Halt,

    /// <summary>A triple fault.</summary>
    Shutdown,
}
