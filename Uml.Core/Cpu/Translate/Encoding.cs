namespace Uml.Core.Cpu.Translate;

/// <summary>
/// The parts of an instruction's encoding (Intel SDM vol. 2, 2.1 to 2.3), as they are in 64-bit mode: what is encoded otherwise in 32-bit
/// code, though it does the same, is described in the other's terms.
/// </summary>
internal unsafe struct Encoding
{
    /// <summary>Operand-size override, and the last of F2H and F3H; zero when absent.</summary>
    public bool OperandSize;
    public bool AddressSize;
    public byte Repeat;
    public bool Lock;

    /// <summary>The REX prefix, or zero.</summary>
    public byte Rex;

    /// <summary>2 or 3 bytes of VEX, or zero; the payload of the longer form, with R, X, B and vvvv as encoded (inverted).</summary>
    public byte Vex;
    public byte VexFirst;
    public byte VexSecond;

    /// <summary>0: one-byte opcodes, 1: 0FH, 2: 0F38H, 3: 0F3AH.</summary>
    public byte Map;
    public byte Opcode;
    public bool HasModRm;
    public byte ModRm;
    public byte Sib;
    public int Displacement;

    /// <summary>What follows the operands: immediates. From the start of the instruction.</summary>
    public byte ImmediateStart;
    public byte Length;

    /// <summary>Whether the form is one of these maps at all (no XOP, EVEX, 3DNow!).</summary>
    public bool Known;

    public readonly int Mod => ModRm >> 6;

    public readonly bool IsMemory => HasModRm && Mod != 3;

    /// <summary>The register field with its extension.</summary>
    public readonly int Reg => ((ModRm >> 3) & 7) | (Vex != 0 ? (~VexFirst & 0x80) >> 4 : (Rex & 4) << 1);

    /// <summary>The register of the r/m field with its extension; the base when the operand is memory without SIB.</summary>
    public readonly int Rm => (ModRm & 7) | ExtensionB;

    public readonly int ExtensionB => Vex != 0 ? (~VexFirst & 0x20) >> 2 : (Rex & 1) << 3;

    public readonly int ExtensionX => Vex != 0 ? (~VexFirst & 0x40) >> 3 : (Rex & 2) << 2;

    public readonly bool Wide => Vex != 0 ? (VexSecond & 0x80) != 0 : (Rex & 8) != 0;

    /// <summary>The second source of a VEX instruction.</summary>
    public readonly int Vvvv => (~VexSecond >> 3) & 15;

    /// <summary>Takes an instruction apart that a decoder has found valid, of a known length.</summary>
    /// <param name="code">Its bytes.</param>
    /// <param name="length">How many.</param>
    /// <param name="isLong">Of 64-bit mode; of 32-bit code otherwise.</param>
    public static Encoding Parse(byte* code, int length, bool isLong)
    {
        Encoding e = new() { Length = (byte)length, Known = true };
        byte* p = e.ParsePrefixes(code);
        if (isLong || !e.TryParseShort(ref p))
        {
            p = e.ParseOpcode(p, isLong);
            if (e.Known && e.HasModRm)
            {
                p = e.ParseModRm(p);
            }
        }

        e.ImmediateStart = (byte)(p - code);
        e.Known &= p - code <= length && (isLong || e.MeansTheSame(code));
        return e;
    }

    /// <summary>
    /// What 64-bit mode has not, or not as short: INC and DEC of one byte, MOV between the accumulator and an absolute address. These are
    /// short for forms with ModR/M byte.
    /// </summary>
    private bool TryParseShort(ref byte* p)
    {
        byte opcode = *p;
        if ((opcode & 0xF0) == 0x40)
        {
            Opcode = 0xFF;
            ModRm = (byte)(0xC0 | (opcode & 0xF));
            p++;
        }
        else if ((opcode & 0xFC) == 0xA0)
        {
            Opcode = (byte)((0x8A | (opcode & 1)) ^ (opcode & 2));
            ModRm = 0x05;
            Displacement = System.Runtime.CompilerServices.Unsafe.ReadUnaligned<int>(p + 1);
            p += 5;
        }
        else
        {
            return false;
        }

        HasModRm = true;
        return true;
    }

    /// <summary>Makes an instruction of 32-bit code one of 64-bit mode, where bits count that it ignores.</summary>
    /// <returns>False when nothing does the same: its addresses are of 16 bits, or it is of a kind that nobody writes.</returns>
    private bool MeansTheSame(byte* code)
    {
        if (Vex == 0)
        {
            // 82H is 80H again.
            return !AddressSize && !(Map == 0 && Opcode == 0x82);
        }

        // VEX.B, and the highest bit of VEX.vvvv and of a register in an immediate; VEX.W where it makes general registers 64 bits.
        VexFirst |= 0x20;
        VexSecond |= 0x40;
        bool isGeneral = Map switch
        {
            1 => Opcode is 0x2A or 0x2C or 0x2D or 0x6E or 0x7E,
            2 => Opcode >= 0xF0,
            _ => Opcode is (>= 0x14 and <= 0x17) or 0x20 or 0x22 or 0x60 or 0x61 or 0xF0,
        };
        bool hasRegister = Map == 3 && Opcode is >= 0x4A and <= 0x4C;
        return !AddressSize && !(Wide && isGeneral) && !(hasRegister && code[Length - 1] >= 0x80);
    }

    private byte* ParsePrefixes(byte* p)
    {
        while (true)
        {
            switch (*p)
            {
                case 0x66: OperandSize = true; break;
                case 0xF2 or 0xF3: Repeat = *p; break;
                case 0xF0: Lock = true; break;
                case 0x2E or 0x36 or 0x3E or 0x26 or 0x64 or 0x65: break;
                case 0x67: AddressSize = true; break;
                default: return p;
            }

            p++;
        }
    }

    private byte* ParseOpcode(byte* p, bool isLong)
    {
        if (isLong && (*p & 0xF0) == 0x40)
        {
            // A REX prefix counts only right before the opcode; what the decoder accepted has it there.
            Rex = *p++;
        }

        // In 32-bit code LES and LDS are, with a memory operand.
        if (Rex == 0 && *p is 0xC4 or 0xC5 && (isLong || p[1] >= 0xC0))
        {
            return ParseVex(p);
        }

        if (*p is 0x62 or 0xD5 || (*p & 0xF0) == 0x40)
        {
            Known = false;
            return p;
        }

        if (*p != 0x0F)
        {
            Opcode = *p++;
            HasModRm = HasModRmInFirstMap(Opcode);
            Known = Opcode != 0x8F || ((*p >> 3) & 7) == 0;
            return p;
        }

        p++;
        Map = *p == 0x38 ? (byte)2 : *p == 0x3A ? (byte)3 : (byte)1;
        p += Map == 1 ? 0 : 1;
        Known = Map != 1 || *p != 0x0F;
        Opcode = *p++;
        HasModRm = Map != 1 || HasModRmInSecondMap(Opcode);
        return p;
    }

    private byte* ParseVex(byte* p)
    {
        if (*p++ == 0xC5)
        {
            // The short form: R, vvvv, L and pp; map 0FH, W, X and B are zero (inverted ones).
            Vex = 2;
            VexFirst = (byte)((*p & 0x80) | 0x61);
            VexSecond = (byte)(*p++ & 0x7F);
        }
        else
        {
            Vex = 3;
            VexFirst = *p++;
            VexSecond = *p++;
        }

        Map = (byte)(VexFirst & 0x1F);
        Known = Map is >= 1 and <= 3;
        Opcode = *p++;
        HasModRm = Map != 1 || Opcode != 0x77;
        return p;
    }

    private byte* ParseModRm(byte* p)
    {
        ModRm = *p++;
        if (Mod == 3)
        {
            return p;
        }

        int displacementSize = Mod == 1 ? 1 : Mod == 2 ? 4 : 0;
        if ((ModRm & 7) == 4)
        {
            Sib = *p++;
            displacementSize = Mod == 0 && (Sib & 7) == 5 ? 4 : displacementSize;
        }
        else if (Mod == 0 && (ModRm & 7) == 5)
        {
            displacementSize = 4;
        }

        Displacement = displacementSize switch { 1 => (sbyte)*p, 4 => System.Runtime.CompilerServices.Unsafe.ReadUnaligned<int>(p), _ => 0 };
        return p + displacementSize;
    }

    /// <summary>One-byte opcodes with a ModR/M byte (Intel SDM vol. 2, table A-2).</summary>
    private static bool HasModRmInFirstMap(byte opcode) => opcode switch
    {
        < 0x40 => (opcode & 7) < 4,
        0x63 or 0x69 or 0x6B => true,
        >= 0x80 and <= 0x8F => true,
        0xC0 or 0xC1 or 0xC6 or 0xC7 => true,
        >= 0xD0 and <= 0xD3 => true,
        >= 0xD8 and <= 0xDF => true,
        0xF6 or 0xF7 or 0xFE or 0xFF => true,
        _ => false,
    };

    /// <summary>Two-byte opcodes with a ModR/M byte (Intel SDM vol. 2, table A-3).</summary>
    private static bool HasModRmInSecondMap(byte opcode) => opcode switch
    {
        >= 0x04 and <= 0x0C or 0x0E => false,
        >= 0x30 and <= 0x37 or 0x77 => false,
        >= 0x80 and <= 0x8F => false,
        >= 0xA0 and <= 0xA2 or >= 0xA8 and <= 0xAA => false,
        >= 0xC8 and <= 0xCF => false,
        _ => true,
    };
}
