using Iced.Intel;
using Uml.Core.Cpu.Contract;

namespace Uml.Core.Cpu.Translate;

/// <summary>What becomes of the flags an instruction leaves in the host's flags register.</summary>
internal enum FlagTreatment : byte
{
    /// <summary>Nothing needs them once something else has used the host's flags.</summary>
    Dropped,

    /// <summary>They are saved at once.</summary>
    Saved,

    /// <summary>They are made again from operands that are still there, should something ask.</summary>
    Remade,

    /// <summary>What they are made of is kept, so that they can be made again.</summary>
    Kept,
}

/// <summary>Accesses near one base register that are looked up together (see <see cref="AccessGroups"/>).</summary>
internal struct AccessGroup
{
    /// <summary>Instructions in it, others between the accesses included; zero when there is no group.</summary>
    public byte Length;
    public byte Base;

    /// <summary>Where its address is kept while something between the accesses takes the address register; -1 when nothing does.</summary>
    public sbyte Slot;

    /// <summary>An offset from the start of the range that has to be a multiple of 16; -1 when there is none.</summary>
    public sbyte Aligned;

    /// <summary>The range, from the base register as it is at the start.</summary>
    public int Low;
    public ushort Span;
    public bool Writes;
}

/// <summary>One instruction on its way through translation.</summary>
internal struct Plan
{
    public Instruction Instruction;
    public Encoding Encoding;
    public Form Form;

    /// <summary>From the start of the guest page to the instruction.</summary>
    public int PageOffset;

    /// <summary>Arithmetic flags (<see cref="RflagsBits"/>) it needs and changes. What it may leave as it was counts as needed.</summary>
    public RflagsBits Needs;
    public RflagsBits Changes;

    /// <summary>Whether it can leave translated code before it changes anything: guest state has to be exact then.</summary>
    public bool Observes;

    /// <summary>A conditional jump out of the middle of the block: flags have to be known, but may be the host's.</summary>
    public bool IsSideExit;

    /// <summary>For such a jump: flags can be passed to its target by their source.</summary>
    public bool PassesOn;

    /// <summary>Whether its translation destroys the host's flags before it uses them.</summary>
    public bool Clobbers;
    public FlagTreatment Treatment;

    /// <summary>General registers it writes, a bit each, and those whose value, or some of it, it uses or keeps.</summary>
    public ushort Writes;
    public ushort Reads;
    public OperandUse Use;
    public byte MemorySize;

    /// <summary>Size of addresses, and of what the stack has: 8, or 4 in 32-bit code.</summary>
    public byte Word;

    /// <summary>The memory operand has to be aligned to its size (#GP).</summary>
    public bool Aligned;

    /// <summary>It works on vector or x87 registers: a register operand may be one of them.</summary>
    public bool IsVector;

    /// <summary>On the first of a group of accesses: the group.</summary>
    public AccessGroup Group;

    /// <summary>On each of its accesses: where the group begins, or -1, and how far from the start of its range the operand lies.</summary>
    public short Leader;
    public int GroupOffset;

    /// <summary>What has to be in registers for it.</summary>
    public Flavor Needed;

    public readonly bool IsLong => Word == sizeof(ulong);

    /// <summary>Of a jump or call to a known target: that, from the start of the guest page.</summary>
    public readonly int BranchTarget => (int)(long)Instruction.NearBranchTarget;
}
