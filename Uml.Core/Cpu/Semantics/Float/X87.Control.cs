using System.Buffers.Binary;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Semantics.Float;

/// <summary>Layout of the FSTENV and FSAVE image: operand size and processor mode (SDM vol. 1, figures 8-9 to 8-12).</summary>
internal enum X87ImageFormat
{
    Protected32,
    Real32,
    Protected16,
    Real16,
}

internal static partial class X87
{
    /// <summary>FNINIT.</summary>
    public static void Initialize(ref X87State state)
    {
        state.ControlWord = X87State.InitialControlWord;
        state.StatusWord = 0;
        state.ValidTags = 0;
        state.LastOpcode = 0;
        state.InstructionPointer = 0;
        state.DataPointer = 0;
        state.CodeSegment = 0;
        state.DataSegment = 0;
    }

    /// <summary>FNCLEX.</summary>
    public static void ClearExceptions(ref X87State state) => state.StatusWord &= 0x7F00;

    /// <summary>FLDCW. Bit 6 always reads as one.</summary>
    public static void LoadControlWord(ref X87State state, ushort value)
    {
        state.ControlWord = (ushort)((value & 0x1F7F) | 0x40);
        UpdateSummary(ref state);
    }

    /// <summary>FFREE ST(i).</summary>
    public static void Free(ref X87State state, int index)
    {
        state.MarkEmpty(index);
        SetConditions(ref state, 0, C1);
    }

    /// <summary>FFREEP ST(i), the undocumented pop form that processors implement.</summary>
    public static void FreeAndPop(ref X87State state, int index)
    {
        Free(ref state, index);
        Pop(ref state);
    }

    /// <summary>FINCSTP.</summary>
    public static void IncrementTop(ref X87State state)
    {
        state.Top++;
        SetConditions(ref state, 0, C1);
    }

    /// <summary>FDECSTP.</summary>
    public static void DecrementTop(ref X87State state)
    {
        state.Top--;
        SetConditions(ref state, 0, C1);
    }

    /// <summary>The effect of every MMX instruction but EMMS on the unit (SDM vol. 1, 9.5).</summary>
    public static void EnterMmx(ref X87State state)
    {
        state.Top = 0;
        state.ValidTags = 0xFF;
    }

    /// <summary>EMMS: all registers empty, TOP 0 (SDM vol. 3A, table 13-2).</summary>
    public static void EmptyMmx(ref X87State state)
    {
        state.Top = 0;
        state.ValidTags = 0;
    }

    /// <summary>Writes MMi; the exponent field of its x87 register becomes all ones (SDM vol. 1, 9.5.2).</summary>
    public static void WriteMmx(ref X87State state, int index, ulong value) => state.Physical(index) = new Float80(0xFFFF, value);

    /// <summary>The tag word with its four states, two bits a physical register (SDM vol. 1, 8.1.7).</summary>
    public static ushort FullTagWord(ref X87State state)
    {
        int tags = 0;
        for (int i = 7; i >= 0; i--)
        {
            tags = (tags << 2) | TagOf(ref state, i);
        }

        return (ushort)tags;
    }

    public static void SetFullTagWord(ref X87State state, ushort tags)
    {
        int valid = 0;
        for (int i = 0; i < 8; i++)
        {
            valid |= ((tags >> (2 * i)) & 3) != 3 ? 1 << i : 0;
        }

        state.ValidTags = (byte)valid;
    }

    public static int EnvironmentSize(X87ImageFormat format) => format is X87ImageFormat.Protected32 or X87ImageFormat.Real32 ? 28 : 14;

    public static int SaveSize(X87ImageFormat format) => EnvironmentSize(format) + 80;

    /// <summary>FNSTENV; all exceptions are masked afterwards.</summary>
    public static void StoreEnvironment(ref X87State state, X87ImageFormat format, Span<byte> image)
    {
        WriteEnvironment(ref state, format, image);
        state.ControlWord |= FloatFlags.All;
        UpdateSummary(ref state);
    }

    /// <summary>FLDENV.</summary>
    public static void LoadEnvironment(ref X87State state, X87ImageFormat format, ReadOnlySpan<byte> image)
    {
        int step = EnvironmentSize(format) / 7;
        state.StatusWord = BinaryPrimitives.ReadUInt16LittleEndian(image[step..]);
        SetFullTagWord(ref state, BinaryPrimitives.ReadUInt16LittleEndian(image[(2 * step)..]));
        if (step == 4)
        {
            ReadPointers32(ref state, format, image);
        }
        else
        {
            ReadPointers16(ref state, format, image);
        }

        LoadControlWord(ref state, BinaryPrimitives.ReadUInt16LittleEndian(image));
    }

    /// <summary>FNSAVE, which initialises the unit afterwards.</summary>
    public static void Save(ref X87State state, X87ImageFormat format, Span<byte> image)
    {
        WriteEnvironment(ref state, format, image);
        Span<byte> registers = image[EnvironmentSize(format)..];
        for (int i = 0; i < 8; i++)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(registers[(i * 10)..], state.St(i).Significand);
            BinaryPrimitives.WriteUInt16LittleEndian(registers[((i * 10) + 8)..], state.St(i).SignExponent);
        }

        Initialize(ref state);
    }

    /// <summary>FRSTOR.</summary>
    public static void Restore(ref X87State state, X87ImageFormat format, ReadOnlySpan<byte> image)
    {
        LoadEnvironment(ref state, format, image);
        ReadOnlySpan<byte> registers = image[EnvironmentSize(format)..];
        for (int i = 0; i < 8; i++)
        {
            ulong significand = BinaryPrimitives.ReadUInt64LittleEndian(registers[(i * 10)..]);
            state.St(i) = new Float80(BinaryPrimitives.ReadUInt16LittleEndian(registers[((i * 10) + 8)..]), significand);
        }
    }

    private static int TagOf(ref X87State state, int physical)
    {
        if ((state.ValidTags >> physical & 1) == 0)
        {
            return 3;
        }

        return Format80.Unpack(state.Physical(physical), false).Kind switch
        {
            FloatClass.Normal => 0,
            FloatClass.Zero => 1,
            _ => 2,
        };
    }

    private static void WriteEnvironment(ref X87State state, X87ImageFormat format, Span<byte> image)
    {
        // Unused upper halves of the 32-bit layout read as ones.
        bool wide = EnvironmentSize(format) == 28;
        uint filler = 0xFFFF_0000;
        uint ip = (uint)state.InstructionPointer;
        uint data = (uint)state.DataPointer;
        uint opcode = state.LastOpcode & 0x7FFu;
        Span<uint> words = [filler | state.ControlWord, filler | state.StatusWord, filler | FullTagWord(ref state), 0, 0, 0, 0];
        switch (format)
        {
            case X87ImageFormat.Protected32:
                (words[3], words[4], words[5], words[6]) = (ip, state.CodeSegment | (opcode << 16), data, filler | state.DataSegment);
                break;
            case X87ImageFormat.Protected16:
                (words[3], words[4], words[5], words[6]) = (ip, state.CodeSegment, data, state.DataSegment);
                break;
            default:
                WriteRealPointers(ref state, wide, words);
                break;
        }

        for (int i = 0; i < 7; i++)
        {
            if (wide)
            {
                BinaryPrimitives.WriteUInt32LittleEndian(image[(i * 4)..], words[i]);
            }
            else
            {
                BinaryPrimitives.WriteUInt16LittleEndian(image[(i * 2)..], (ushort)words[i]);
            }
        }
    }

    private static void WriteRealPointers(ref X87State state, bool wide, Span<uint> words)
    {
        uint ip = (uint)state.InstructionPointer + ((uint)state.CodeSegment << 4);
        uint data = (uint)state.DataPointer + ((uint)state.DataSegment << 4);
        uint opcode = state.LastOpcode & 0x7FFu;
        words[3] = wide ? 0xFFFF_0000 | (ip & 0xFFFF) : ip;
        words[4] = ((ip >> 16) << 12) | opcode;
        words[5] = wide ? 0xFFFF_0000 | (data & 0xFFFF) : data;
        words[6] = (data >> 16) << 12;
    }

    private static void ReadPointers32(ref X87State state, X87ImageFormat format, ReadOnlySpan<byte> image)
    {
        uint ip = BinaryPrimitives.ReadUInt32LittleEndian(image[12..]);
        uint selector = BinaryPrimitives.ReadUInt32LittleEndian(image[16..]);
        uint data = BinaryPrimitives.ReadUInt32LittleEndian(image[20..]);
        uint dataSelector = BinaryPrimitives.ReadUInt32LittleEndian(image[24..]);
        if (format == X87ImageFormat.Protected32)
        {
            SetPointers(ref state, ip, (ushort)selector, data, (ushort)dataSelector, selector >> 16);
            return;
        }

        uint linear = (ip & 0xFFFF) | ((selector >> 12) << 16);
        uint linearData = (data & 0xFFFF) | ((dataSelector >> 12) << 16);
        SetPointers(ref state, linear, 0, linearData, 0, selector);
    }

    private static void ReadPointers16(ref X87State state, X87ImageFormat format, ReadOnlySpan<byte> image)
    {
        ushort ip = BinaryPrimitives.ReadUInt16LittleEndian(image[6..]);
        ushort selector = BinaryPrimitives.ReadUInt16LittleEndian(image[8..]);
        ushort data = BinaryPrimitives.ReadUInt16LittleEndian(image[10..]);
        ushort dataSelector = BinaryPrimitives.ReadUInt16LittleEndian(image[12..]);
        if (format == X87ImageFormat.Protected16)
        {
            SetPointers(ref state, ip, selector, data, dataSelector, state.LastOpcode);
            return;
        }

        uint linear = ip | ((uint)(selector >> 12) << 16);
        uint linearData = data | ((uint)(dataSelector >> 12) << 16);
        SetPointers(ref state, linear, 0, linearData, 0, selector);
    }

    private static void SetPointers(ref X87State state, uint ip, ushort cs, uint data, ushort ds, uint opcode)
    {
        state.InstructionPointer = ip;
        state.CodeSegment = cs;
        state.DataPointer = data;
        state.DataSegment = ds;
        state.LastOpcode = (ushort)(opcode & 0x7FF);
    }
}
