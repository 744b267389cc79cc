using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Uml.Core.Memory;

namespace Uml.Core.Cpu.State;

/// <summary>
/// The engine's own state of a virtual CPU: budget, requests, pointers to the host's data, scratch. It has no meaning while the guest does
/// not run, and is not part of snapshots.
/// </summary>
// SAFETY: pointers here are set by VirtualCpu.Connect, to guest RAM and page information, which outlive the processor; X87Image and
// AccessBuffer are sized for what is stored there.
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct EngineState
{
    /// <summary>
    /// Free bytes below the processor's memory: the stack pointer of translated code points into that, so the host writes signal frames
    /// here and runs signal handlers on it. Pages that are never touched take no memory.
    /// </summary>
    public const ulong SignalStack = 1 << 18;

    // ---- hot in the interpreter ----

    /// <summary>Always zero: the base or index of an address without one.</summary>
    public ulong Zero;

    /// <summary>
    /// RIP of the first instruction of the running block: the base of RIP-relative addresses and of offsets in the block.
    /// </summary>
    public ulong BlockRip;

    /// <summary>While translated code runs: the part of the budget that is not in <see cref="HotWords.Remaining"/> (see <c>Slices</c>).</summary>
    public long Reserve;

    /// <summary>
    /// The poll word: non-zero asks the engine to exit at the next block boundary (<see cref="Attention"/> bits; other threads set it).
    /// </summary>
    public int Poll;

    /// <summary>Why the last handler returned null.</summary>
    public ExitCode Exit;

    /// <summary>
    /// The host's stack pointer while translated code runs, whose own points into <see cref="CpuState.Gpr"/>; 0 when none runs.
    /// </summary>
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

    /// <summary>The conversion from the host's time-stamp counter to the guest's.</summary>
    public TimeStampScale TimeStamps;

    // ---- slow paths of translated code ----

    /// <summary>
    /// Not zero while <see cref="AccessBuffer"/> holds an operand that has to be written to guest memory after the instruction.
    /// </summary>
    public int CommitSize;
    public SegmentIndex CommitSegment;
    public ulong CommitLinear;

    /// <summary>Replaces an operand that is not plain RAM: 64 bytes, aligned for every vector.</summary>
    public AccessBuffer AccessBuffer;

    /// <summary>An image of the x87 unit for FNSAVE and FRSTOR (Intel SDM vol. 1, figure 8-9), to move it from and to the host's.</summary>
    public FsaveImage X87Image;

    /// <summary>Not zero: the valid x87 state is in <see cref="X87Image"/>, where translated code has stored it.</summary>
    public int X87Left;

    /// <summary>MXCSR for calls of C# from translated code: the default, which the interpreter's semantics rely on.</summary>
    public uint HostMxcsr;

    /// <summary>Statistics, not visible to the guest.</summary>
    public CpuCounters Counters;

    // Further offsets that register operands may have.
    public static readonly int ZeroOffset = CpuState.Measure(static s => &s->Engine->Zero);
    public static readonly int BlockRipOffset = CpuState.Measure(static s => &s->Engine->BlockRip);
}

/// <summary>What FNSAVE writes with 32-bit operands: seven words and eight registers of ten bytes.</summary>
[InlineArray(108)]
internal struct FsaveImage
{
    private byte _element;
}

/// <summary>Space for the largest memory operand that is translated.</summary>
[InlineArray(2)]
internal struct AccessBuffer
{
    /// <summary>Bytes.</summary>
    public const int Size = 64;

    private Vector256<byte> _element;
}
