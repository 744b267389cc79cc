namespace Uml.Core.Cpu.Emit;

/// <summary>Prefixes and opcode of an instruction as the decoder describes them, from which it is written again with other registers.</summary>
internal struct Opcode
{
    /// <summary>LOCK.</summary>
    public bool IsLocked;

    /// <summary>66H, for the operand size or as part of the opcode.</summary>
    public bool OperandSize;

    /// <summary>F2H or F3H; zero when there is none.</summary>
    public byte Repeat;

    /// <summary>REX.W or VEX.W.</summary>
    public bool Wide;

    /// <summary>A REX prefix even if there is nothing to say in it: without one the byte registers 4 to 7 are AH to BH.</summary>
    public bool ForcesRex;
    public bool IsVex;

    /// <summary>VEX.L.</summary>
    public bool Is256;

    /// <summary>0: one-byte opcodes, 1: 0FH, 2: 0F38H, 3: 0F3AH.</summary>
    public byte Map;

    /// <summary>The opcode in its map.</summary>
    public byte Value;

    /// <summary>A second byte of the opcode, where others have the ModR/M byte (x87 instructions between registers, fences); or zero.</summary>
    public byte Second;
}
