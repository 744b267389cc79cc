using System.Buffers.Binary;
using Uml.Net.Frames;

namespace Uml.Net.Transports.Raw;

/// <summary>
/// Checks programs for the classic Berkeley packet filter (Linux, Documentation/networking/filter.rst): instructions of eight bytes, in native byte
/// order: code (16 bits), jump if true, jump if false, and an operand of 32 bits.
/// </summary>
internal static class ClassicBpf
{
    public const int InstructionLength = 8;

    /// <summary>BPF_MAXINSNS.</summary>
    public const int MaximumInstructions = 4096;

    private const int MemoryWords = 16;

    /// <summary>Checks a program.</summary>
    /// <exception cref="NetTransportException">It is none that the host would run; the message names the instruction.</exception>
    public static void Check(ReadOnlySpan<byte> program)
    {
        int count = program.Length / InstructionLength;
        if (program.Length % InstructionLength != 0 || count is 0 or > MaximumInstructions)
        {
            throw new NetTransportException(
                $"A BPF program is 1 to {MaximumInstructions} instructions of {InstructionLength} bytes each, and this one has {program.Length} bytes: use what 'tcpdump -ddd' or a compiler makes, in binary.");
        }

        for (int i = 0; i < count; i++)
        {
            ReadOnlySpan<byte> instruction = program[(i * InstructionLength)..];
            int code = BinaryPrimitives.ReadUInt16LittleEndian(instruction);
            uint operand = BinaryPrimitives.ReadUInt32LittleEndian(instruction[4..]);
            if (!IsKnown(code))
            {
                throw Refuse(i, $"there is no code {code:x4}h");
            }

            if (FindFault(code, operand, instruction[2], instruction[3], count - i - 1) is { } fault)
            {
                throw Refuse(i, fault);
            }
        }

        CheckMemory(program);
        int last = BinaryPrimitives.ReadUInt16LittleEndian(program[^InstructionLength..]);
        if ((last & ClassMask) != Return)
        {
            throw Refuse(count - 1, "the last instruction has to be a return");
        }
    }

    // The classes of instructions, in the low three bits of the code.
    private const int ClassMask = 7, Load = 0, LoadIndex = 1, Store = 2, StoreIndex = 3, Arithmetic = 4, Jump = 5, Return = 6, Transfer = 7;

    // What else stands in the code, by class.
    private const int OperationMask = 0xF0, IndexOperand = 8, ModeMask = 0xE0, SizeMask = 0x18;
    private const int Divide = 0x30, ShiftLeft = 0x60, ShiftRight = 0x70, Negate = 0x80, Modulo = 0x90, ExclusiveOr = 0xA0;
    private const int JumpAlways = 0, LastJump = 0x40;
    private const int Immediate = 0, Absolute = 0x20, Indirect = 0x40, Memory = 0x60, PacketLength = 0x80, HeaderLength = 0xA0;
    private const int Word = 0, HalfWord = 8, Byte = 0x10;
    private const int ReturnAccumulator = 0x10, TransferToAccumulator = 0x80;

    private static bool IsKnown(int code)
    {
        int mode = code & ModeMask, size = code & SizeMask, operation = code & OperationMask;
        return code <= byte.MaxValue && (code & ClassMask) switch
        {
            Load => (mode is Absolute or Indirect && size is Word or HalfWord or Byte) || (mode is Immediate or Memory or PacketLength && size == Word),
            LoadIndex => (mode is Immediate or Memory or PacketLength && size == Word) || (mode == HeaderLength && size == Byte),
            Store or StoreIndex => code is Store or StoreIndex,
            Arithmetic => operation is <= ExclusiveOr and not Negate || code == (Arithmetic | Negate),
            Jump => code == (Jump | JumpAlways) || operation is > JumpAlways and <= LastJump,
            Return => code is Return or (Return | ReturnAccumulator),
            Transfer => code is Transfer or (Transfer | TransferToAccumulator),
            _ => false,
        };
    }

    private static string? FindFault(int code, uint operand, byte ifTrue, byte ifFalse, int left)
    {
        int operation = code & OperationMask;
        switch (code & ClassMask)
        {
            case Load or LoadIndex when (code & ModeMask) == Memory && operand >= MemoryWords:
            case Store or StoreIndex when operand >= MemoryWords:
                return $"it uses word {operand} of a memory of {MemoryWords}";
            case Arithmetic when (code & IndexOperand) == 0 && operation is Divide or Modulo && operand == 0:
                return "it divides by zero";
            case Arithmetic when (code & IndexOperand) == 0 && operation is ShiftLeft or ShiftRight && operand >= 32:
                return $"it shifts 32 bits by {operand}";
            case Jump when operation == JumpAlways && operand >= left:
            case Jump when operation != JumpAlways && Math.Max(ifTrue, ifFalse) >= left:
                return "it jumps behind the end";
            default:
                return null;
        }
    }

    /// <summary>Every word of memory that is read was written before, whatever way the program took; jumps lead forward only.</summary>
    private static void CheckMemory(ReadOnlySpan<byte> program)
    {
        int count = program.Length / InstructionLength;

        // What jumps to an instruction may rely on, a bit for each word.
        ushort[] written = new ushort[count];
        Array.Fill(written, ushort.MaxValue);
        ushort now = 0;
        for (int i = 0; i < count; i++)
        {
            ReadOnlySpan<byte> instruction = program[(i * InstructionLength)..];
            int code = BinaryPrimitives.ReadUInt16LittleEndian(instruction);
            uint operand = BinaryPrimitives.ReadUInt32LittleEndian(instruction[4..]);
            now &= written[i];
            switch (code & ClassMask)
            {
                case Store or StoreIndex:
                    now |= (ushort)(1 << (int)operand);
                    break;
                case Load or LoadIndex when (code & ModeMask) == Memory && (now & (1 << (int)operand)) == 0:
                    throw Refuse(i, $"it reads word {operand} of its memory, which may not have been written");
                case Jump when (code & OperationMask) == JumpAlways:
                    written[i + 1 + (int)operand] &= now;
                    now = ushort.MaxValue;
                    break;
                case Jump:
                    written[i + 1 + instruction[2]] &= now;
                    written[i + 1 + instruction[3]] &= now;
                    now = ushort.MaxValue;
                    break;
                default:
                    break;
            }
        }
    }

    private static NetTransportException Refuse(int index, string fault) => new($"The BPF program cannot be used: {fault} (instruction {index}). Compile it anew.");
}
