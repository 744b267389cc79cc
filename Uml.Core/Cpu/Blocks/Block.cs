using System.Runtime.InteropServices;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Blocks;

/// <summary>
/// A basic block: decoded instructions from one guest-physical address on. Its operations follow this header in memory, and the guest code
/// that they were decoded from follows the operations.
/// </summary>
// SAFETY: a block's pointers are BlockCache's to keep valid: to other blocks in its own memory, and to pages of guest RAM, which outlives
// the processor. Ops and Code stay within the SizeOf bytes that were taken for the block.
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct Block
{
    /// <summary>Guest-physical address of the first byte.</summary>
    public ulong Physical;

    /// <summary>Host address of the guest page the block starts in.</summary>
    public byte* HostPage;

    /// <summary>Next block in the same hash bucket.</summary>
    public Block* HashNext;

    /// <summary>Next block that has bytes in the same guest page; the second link is for the page an instruction runs over into.</summary>
    public Block* PageNext;
    public Block* SecondPageNext;

    /// <summary>
    /// Guest-physical page that the last instruction crosses into; <see cref="NoPage"/> when it crosses no page boundary.
    /// </summary>
    public ulong SecondPage;

    /// <summary>Host address of that page; null when there is none or it is no RAM.</summary>
    public byte* SecondHostPage;

    public CpuMode Mode;

    /// <summary>Instructions in the block.</summary>
    public ushort Count;

    /// <summary>Bytes of guest code in the block.</summary>
    public ushort ByteLength;

    /// <summary>
    /// The first instruction's own handler. The first operation may have another: one that counts runs, or enters the translation.
    /// </summary>
    public Handler FirstHandler;

    /// <summary>Times the interpreter has run the block, until it is translated.</summary>
    public int Heat;

    public Translations Translations;

    public const ulong NoPage = ulong.MaxValue;

    /// <summary>Longest block, in instructions: bounds how late an interrupt is seen.</summary>
    public const int MaxInstructions = 64;

    /// <summary>Longest instruction, in bytes (Intel SDM vol. 2, 2.3.11).</summary>
    public const int MaxInstructionLength = 15;

    /// <summary>Longest block, in bytes.</summary>
    public const int MaxBytes = MaxInstructions * MaxInstructionLength;

    /// <summary>Memory that the longest block takes: the header, one operation more than instructions, the bytes.</summary>
    public static ulong MaxSize => SizeOf(MaxInstructions, MaxBytes);

    /// <summary>Memory that a block takes, a multiple of a cache line.</summary>
    public static ulong SizeOf(int count, int byteLength) =>
        ((ulong)sizeof(Block) + ((ulong)(count + 1) * (ulong)sizeof(Op)) + (ulong)byteLength + 63) & ~63UL;

    public static Op* Ops(Block* block) => (Op*)(block + 1);

    /// <summary>The guest code as it was decoded. Translation reads this copy only: guest memory may change at any time.</summary>
    public static byte* Code(Block* block) => (byte*)(Ops(block) + block->Count + 1);
}

/// <summary>An entry of the jump cache: the block that a jump to a linear address led to last time.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct JumpCacheEntry
{
    public ulong Linear;
    public Block* Block;
}
