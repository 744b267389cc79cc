using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Uml.Core.Memory;

namespace Uml.Core.Cpu.State;

/// <summary>
/// What the engine keeps for a virtual CPU beside its architectural state: budget, requests, links to what belongs to the host, scratch.
/// Nothing of it means anything while the guest does not run, and no snapshot has it.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct EngineState
{
    /// <summary>
    /// Bytes that have to be free below the processor's memory: translated code has its stack pointer in there, so this is where the host
    /// puts the frame of a signal, and runs its handler. Pages that are never touched cost nothing.
    /// </summary>
    public const ulong SignalStack = 1 << 18;

    /// <summary>Groups of accesses that translated code may have open at a time.</summary>
    public const int GroupSlots = 4;

    // ---- hot in translated code ----

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

    /// <summary>RIP of the first instruction of the block that runs: the base of RIP-relative addresses and of offsets in the block.</summary>
    public ulong BlockRip;

    /// <summary>While translated code runs: what of the budget is not in <see cref="Remaining"/> (see <c>Slices</c>).</summary>
    public long Reserve;

    /// <summary>Non-zero asks the engine to return at the next block boundary (<see cref="Attention"/> bits; other threads set it).</summary>
    public int Poll;

    /// <summary>Why the last handler returned null.</summary>
    public ExitCode Exit;

    /// <summary>The host's stack pointer while translated code runs, which has its own at <see cref="CpuState.Gpr"/>; 0 when none runs.</summary>
    public ulong HostStack;

    /// <summary>Guest RAM: host address of its first byte, and the guest-physical ends of its two ranges (see <see cref="GuestRam"/>).</summary>
    public byte* RamBase;
    public ulong RamLowEnd;
    public ulong RamHighEnd;
    public PageInfo* Pages;

    /// <summary>The level of the INTR pin; written by any thread.</summary>
    public int InterruptLine;

    /// <summary>The instruction that is single-stepped began with TF set: #DB follows it, unless it takes this back (see DebugTraps).</summary>
    public bool StepTrap;

    // ---- pending exception, valid while Exit is Exception or ExceptionAtRip ----

    public byte ExceptionVector;
    public bool ExceptionHasError;
    public uint ExceptionError;

    /// <summary>DR6 bits of data and I/O breakpoints that the instruction that is single-stepped has hit: #DB follows it.</summary>
    public uint PendingDebug;

    // ---- handles to the managed parts of the processor, for slow paths: see Owned ----

    public nint Memory;
    public nint Blocks;
    public nint System;
    public nint Log;
    public nint Translator;

    /// <summary>From the host's time-stamp counter to the guest's.</summary>
    public TimeStampScale TimeStamps;

    // ---- slow paths of translated code ----

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

    /// <summary>MXCSR as .NET expects it, for calls from translated code: the default, whatever the application has chosen for itself.</summary>
    public uint HostMxcsr;

    /// <summary>Statistics: nothing the guest can see.</summary>
    public CpuCounters Counters;

    // Register operands may be these too.
    public static readonly int ZeroOffset = CpuState.Measure(static s => &s->Engine->Zero);
    public static readonly int BlockRipOffset = CpuState.Measure(static s => &s->Engine->BlockRip);
}

/// <summary>What FNSAVE writes with 32-bit operands: seven words and eight registers of ten bytes.</summary>
[InlineArray(108)]
internal struct FsaveImage
{
    private byte _element;
}

/// <summary>A host address for each group of accesses that may be open.</summary>
[InlineArray(EngineState.GroupSlots)]
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
