using System.Buffers.Binary;
using Uml.Fuzz.Running;
using static Uml.Fuzz.Guests.SystemLayout;

namespace Uml.Fuzz.Guests;

/// <summary>
/// Random code of system instructions, in bytes: registers are loaded with numbers that mean something, then an instruction follows whose
/// operands are random. What comes of it in another mode is other code.
/// </summary>
internal sealed class SystemCode(FuzzRandom random, int bitness)
{
    private const int Length = 0x3000;

    /// <summary>One-byte opcodes: far transfers, returns, interrupts, flags, ports, segment registers.</summary>
    private static readonly byte[] s_short =
    [
        0xCF, 0xCF, 0xCB, 0xCC, 0xCE, 0xF1, 0xF4, 0xFA, 0xFB, 0x9C, 0x9D, 0x9D, 0xEC, 0xED, 0xEE, 0xEF, 0x6C, 0x6D, 0x6E, 0x6F, 0x1F, 0x07, 0x17, 0x06, 0x0E,
        0x16, 0x1E, 0xA4, 0xA5, 0xAA, 0xAB, 0xAC, 0xAD, 0xAE, 0xAF, 0xA6, 0xA7, 0xC9, 0x90, 0x60, 0x61,
    ];

    /// <summary>Two-byte opcodes without operands.</summary>
    private static readonly byte[] s_plain = [0x05, 0x06, 0x07, 0x08, 0x09, 0x30, 0x30, 0x30, 0x31, 0x32, 0x32, 0x34, 0x35, 0x0B, 0xA0, 0xA1, 0xA8, 0xA9, 0xA2, 0x77];

    /// <summary>Two-byte opcodes with a ModR/M byte.</summary>
    private static readonly byte[] s_operand =
        [0x00, 0x00, 0x01, 0x01, 0x01, 0x02, 0x03, 0xAE, 0xAE, 0xAE, 0xC7, 0xB2, 0xB4, 0xB5, 0x20, 0x21, 0x22, 0x22, 0x23, 0x0D, 0x1E, 0x1F, 0x28, 0x29];

    /// <summary>One-byte opcodes with a ModR/M byte, and one that moves.</summary>
    private static readonly byte[] s_move = [0x8E, 0x8E, 0x8C, 0xFF, 0xFF, 0x63, 0x62, 0xC4, 0xC5, 0x8B, 0x89, 0x88, 0x01, 0x87, 0x8F, 0xD9, 0xDD, 0xDB];

    private static readonly uint[] s_msrs =
        [0x10, 0x1B, 0x3B, 0x174, 0x175, 0x176, 0x277, 0x6E0, 0x80B, 0x830, 0x83F, 0xC000_0080, 0xC000_0081, 0xC000_0082, 0xC000_0084, 0xC000_0100, 0xC000_0101, 0xC000_0102, 0xC000_0103];

    private readonly List<byte> _bytes = new(Length + 64);

    public byte[] Create()
    {
        while (_bytes.Count < Length)
        {
            for (int i = random.Below(4); i > 0; i--)
            {
                LoadRegister();
            }

            Instruction();
        }

        return [.. _bytes];
    }

    private void Instruction()
    {
        if (random.OneIn(12))
        {
            _bytes.Add(random.Pick<byte>([0x66, 0x67, 0xF2, 0xF3, 0xF0, 0x2E, 0x64, 0x65]));
        }

        if (bitness == 64 && random.OneIn(4))
        {
            _bytes.Add((byte)(0x40 | random.Below(16)));
        }

        switch (random.Below(14))
        {
            case 0:
            case 1:
                _bytes.Add(random.Pick(s_short));
                break;
            case 2:
            case 3:
                _bytes.AddRange([0x0F, random.Pick(s_plain)]);
                break;
            case 4:
            case 5:
            case 6:
                _bytes.AddRange([0x0F, random.Pick(s_operand)]);
                Operand();
                break;
            case 7:
            case 8:
                _bytes.Add(random.Pick(s_move));
                Operand();
                break;
            case 9:
                FarPointer();
                break;
            case 10:
                Frame();
                break;
            case 11 when random.OneIn(4):
                ControlRegister();
                break;
            case 12:
                _bytes.AddRange(random.Bytes(1 + random.Below(6)));
                break;
            default:
                Jump();
                break;
        }
    }

    private void Operand()
    {
        byte modRm = (byte)random.UInt64();
        _bytes.Add(modRm);
        int mod = modRm >> 6, rm = modRm & 7;
        if (mod == 3)
        {
            return;
        }

        if (bitness == 16)
        {
            Immediate((uint)Address(random), mod == 1 ? 1 : mod == 2 || rm == 6 ? 2 : 0);
            return;
        }

        bool hasScale = rm == 4;
        byte scale = (byte)random.UInt64();
        if (hasScale)
        {
            _bytes.Add(scale);
        }

        bool isAbsolute = mod == 0 && (rm == 5 || (hasScale && (scale & 7) == 5));
        Immediate((uint)Address(random), mod == 1 ? 1 : mod == 2 || isAbsolute ? 4 : 0);
    }

    private void LoadRegister()
    {
        int register = random.Below(8);
        ulong value = random.Below(5) switch
        {
            0 => Selector(random),
            1 => random.Pick(s_msrs),
            2 => random.Nasty(),
            _ => Address(random),
        };
        if (register == 4 && !random.OneIn(4))
        {
            value = Stack + ((ulong)random.Below(0xFF00) & ~7UL);
        }

        if (bitness == 64)
        {
            _bytes.Add(0x48);
        }

        _bytes.Add((byte)(0xB8 | register));
        Immediate(value, bitness / 8);
    }

    /// <summary>JMP and CALL far, direct and through memory.</summary>
    private void FarPointer()
    {
        ulong target = Code + (ulong)random.Below(Length);
        if (bitness != 64 && random.OneIn(2))
        {
            _bytes.Add(random.OneIn(2) ? (byte)0xEA : (byte)0x9A);
            Immediate(bitness == 16 ? target - Code : target, bitness / 8);
            Immediate(bitness == 16 && random.OneIn(2) ? Code >> 4 : Selector(random), 2);
            return;
        }

        // push selector; push target; jmp or call far [sp]: with 32-bit operands the selector is read behind four bytes.
        Push(Selector(random));
        Push(target);
        _bytes.AddRange(bitness == 64 ? [0x48, 0xFF, (byte)(random.OneIn(2) ? 0x2C : 0x1C), 0x24] : [0xFF, (byte)(random.OneIn(2) ? 0x2C : 0x1C), 0x24]);
    }

    /// <summary>A frame for IRET or RETF, then that.</summary>
    private void Frame()
    {
        ulong target = Code + (ulong)random.Below(Length);
        Push(Selector(random));
        Push(StackEnd - (ulong)random.Below(0x4000));
        Push(random.OneIn(3) ? random.UInt64() & 0x3F_7FD7 : 0x202);
        Push(Selector(random));
        Push(bitness == 16 ? target - Code : target);
        if (bitness == 64)
        {
            _bytes.Add(0x48);
        }

        _bytes.Add(random.OneIn(4) ? (byte)0xCB : (byte)0xCF);
    }

    private void Push(ulong value)
    {
        _bytes.Add(0x68);
        Immediate(value, bitness == 16 ? 2 : 4);
    }

    /// <summary>Reads a control register, changes a bit or the whole, writes it.</summary>
    private void ControlRegister()
    {
        int number = random.Pick<int>([0, 0, 3, 4, 4, 4, 4, 8]);
        byte prefix = bitness == 64 && number == 8 ? (byte)0x44 : (byte)0x90;
        int field = (number & 7) << 3;
        _bytes.AddRange([prefix, 0x0F, 0x20, (byte)(0xC0 | field)]); // mov rax, crN
        if (random.OneIn(2))
        {
            _bytes.AddRange([0x0F, 0xBA, 0xF8, (byte)random.Below(32)]); // btc eax, n
        }
        else
        {
            _bytes.Add(random.OneIn(2) ? (byte)0x35 : (byte)0x0D); // xor, or eax, imm
            Immediate(number == 3 ? (ulong)random.Below(9) << 12 : 1UL << random.Below(32), bitness == 16 ? 2 : 4);
        }

        _bytes.AddRange([prefix, 0x0F, 0x22, (byte)(0xC0 | field)]);
    }

    private void Jump()
    {
        _bytes.Add((byte)(random.OneIn(2) ? 0xEB : 0x70 | random.Below(16)));
        _bytes.Add((byte)random.UInt64());
    }

    private void Immediate(ulong value, int bytes)
    {
        Span<byte> number = stackalloc byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(number, value);
        _bytes.AddRange(number[..bytes]);
    }
}
