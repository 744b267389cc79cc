using System.Runtime.CompilerServices;
using Uml.Core.Cpu.Contract;

namespace Uml.Core.Cpu.Emit;

/// <summary>
/// Writes the parts of host instructions: prefixes, opcodes, operands. Only the assembler uses them; emitters call its named
/// instructions.
/// </summary>
internal abstract unsafe class InstructionWriter
{
    // SAFETY: the caller of Begin makes sure that there is room for everything written until the next Begin.
    private byte* _position;

    /// <summary>Where the next byte goes.</summary>
    public byte* Position => _position;

    public void Begin(byte* position) => _position = position;

    /// <summary>Pads with breakpoints, which nothing runs into.</summary>
    public void Align(int alignment)
    {
        while (((nuint)_position & (nuint)(alignment - 1)) != 0)
        {
            Byte(0xCC);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    protected void Byte(int value) => *_position++ = (byte)value;

    protected void Int32(int value)
    {
        Unsafe.WriteUnaligned(_position, value);
        _position += 4;
    }

    protected void Int64(long value)
    {
        Unsafe.WriteUnaligned(_position, value);
        _position += 8;
    }

    /// <summary>An immediate operand.</summary>
    protected void Immediate(long value, int size)
    {
        for (; size > 0; size--, value >>= 8)
        {
            Byte((int)value);
        }
    }

    /// <summary>Leaves room for a displacement of four bytes.</summary>
    /// <returns>Where that is.</returns>
    protected byte* Displacement()
    {
        byte* at = _position;
        _position += 4;
        return at;
    }

    /// <summary>The REX prefix that W and three register numbers ask for; none when there is nothing to say.</summary>
    protected void Rex(bool wide, int reg, int index, int rm, bool force = false)
    {
        int rex = (wide ? 8 : 0) | ((reg >> 3) << 2) | ((index >> 3) << 1) | (rm >> 3);
        if (rex != 0 || force)
        {
            Byte(0x40 | rex);
        }
    }

    /// <summary>
    /// The VEX prefix in its longer form, of a memory operand without index (Intel SDM vol. 2, 2.3.5: R, X, B and vvvv are stored inverted; a second source
    /// that there is not counts as 0).
    /// </summary>
    protected void Vex(int map, int pp, bool wide, bool is256, int reg, int vvvv, int rm)
    {
        Byte(0xC4);
        Byte((reg < 8 ? 0x80 : 0) | 0x40 | (rm < 8 ? 0x20 : 0) | map);
        Byte((wide ? 0x80 : 0) | ((~vvvv & 15) << 3) | (is256 ? 4 : 0) | pp);
    }

    protected void ModRmRegister(int reg, int rm) => Byte(0xC0 | ((reg & 7) << 3) | (rm & 7));

    /// <summary>A memory operand: base register and displacement.</summary>
    protected void ModRmMemory(int reg, int @base, int displacement)
    {
        // RBP and R13 have no form without displacement, RSP and R12 none without SIB (Intel SDM vol. 2, table 2-5).
        int mod = displacement == 0 && (@base & 7) != HostRegister.Rbp ? 0 : displacement == (sbyte)displacement ? 1 : 2;
        Byte((mod << 6) | ((reg & 7) << 3) | (@base & 7));
        if ((@base & 7) == HostRegister.Rsp)
        {
            Byte(0x24);
        }

        Displacement(mod, displacement);
    }

    /// <summary>A memory operand with an index register, which is not RSP.</summary>
    protected void ModRmMemory(int reg, int @base, int index, int scale, int displacement)
    {
        int mod = displacement == 0 && (@base & 7) != HostRegister.Rbp ? 0 : displacement == (sbyte)displacement ? 1 : 2;
        Byte((mod << 6) | ((reg & 7) << 3) | 4);
        Byte((scale << 6) | ((index & 7) << 3) | (@base & 7));
        Displacement(mod, displacement);
    }

    /// <summary>An instruction with a one-byte opcode, a register and a register operand.</summary>
    protected void Register(int opcode, int reg, int rm, bool wide = true)
    {
        Rex(wide, reg, 0, rm);
        Byte(opcode);
        ModRmRegister(reg, rm);
    }

    /// <summary>An instruction with a one-byte opcode, a register and a memory operand.</summary>
    protected void Memory(int opcode, int reg, int @base, int displacement, bool wide = true)
    {
        Rex(wide, reg, 0, @base);
        Byte(opcode);
        ModRmMemory(reg, @base, displacement);
    }

    /// <summary>An instruction for operands of any size: the opcode's lowest bit is clear for bytes, set for 2, 4 and 8 bytes.</summary>
    protected void Sized(int opcode, int size, int reg, in OperandPlace rm)
    {
        if (size == 2)
        {
            Byte(0x66);
        }

        // Without REX the byte registers 4 to 7 would be AH to BH.
        Rex(size == 8, reg, 0, rm.Register, force: size == 1);
        Byte(size == 1 ? opcode : opcode | 1);
        if (rm.IsMemory)
        {
            ModRmMemory(reg, rm.Register, rm.Displacement);
        }
        else
        {
            ModRmRegister(reg, rm.Register);
        }
    }

    private void Displacement(int mod, int displacement)
    {
        if (mod == 1)
        {
            Byte(displacement);
        }
        else if (mod == 2)
        {
            Int32(displacement);
        }
    }
}
