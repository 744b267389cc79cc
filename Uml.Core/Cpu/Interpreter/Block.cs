using System.Runtime.InteropServices;
using Uml.Core.Cpu.Execute;

namespace Uml.Core.Cpu.Interpreter;

/// <summary>A run of decoded instructions that starts at one guest-physical address; its operations follow the header in memory.</summary>
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

    /// <summary>Guest-physical page the last instruction runs over into; <see cref="NoPage"/> when it does not.</summary>
    public ulong SecondPage;

    /// <summary>Host address of that page; null when there is none, or it is a device's.</summary>
    public byte* SecondHostPage;

    public CpuMode Mode;

    /// <summary>Instructions in the block.</summary>
    public ushort Count;

    /// <summary>Guest bytes the block was made from.</summary>
    public ushort ByteLength;

    /// <summary>The handler of the first operation, in whose place one that counts or runs a translation may stand.</summary>
    public Handler FirstHandler;

    /// <summary>Runs in the interpreter so far, while it is of interest.</summary>
    public int Heat;

    public Translations Translations;

    public const ulong NoPage = ulong.MaxValue;

    public static Op* Ops(Block* block) => (Op*)(block + 1);
}

/// <summary>Where a jump to a virtual address led last time.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct JumpCacheEntry
{
    public ulong Linear;
    public Block* Block;
}
