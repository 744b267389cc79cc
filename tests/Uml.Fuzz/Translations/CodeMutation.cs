using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Iced.Intel;
using Uml.Fuzz.Running;

namespace Uml.Fuzz.Translations;

/// <summary>
/// A change to one or two instructions of emitted code. Most are what a defect of the emitter would make: another register, displacement,
/// condition, target or order, or an instruction left out; code that is changed at random seldom gets past the checker.
/// </summary>
/// <param name="start">The code, in writable memory.</param>
/// <param name="end">Its end.</param>
internal readonly unsafe ref struct CodeMutation(FuzzRandom random, byte* start, byte* end)
{
    private readonly List<Instruction> _instructions = Decode(start, end);

    /// <summary>Makes the change, if the instruction that was drawn can be changed in the way that was drawn.</summary>
    /// <param name="where">The bytes that were changed.</param>
    /// <returns>The bytes before the change; null when there was none.</returns>
    public byte[]? Apply(out Span<byte> where)
    {
        where = default;
        if (_instructions.Count == 0)
        {
            return null;
        }

        int index = random.Below(_instructions.Count);
        Instruction i = _instructions[index];
        where = Bytes(in i);
        byte[] before = [.. where];
        switch (random.Below(11))
        {
            case 0:
                where[random.Below(where.Length)] = (byte)random.UInt64();
                break;
            case 1:
                where[random.Below(where.Length)] ^= (byte)(1 << random.Below(8));
                break;
            case 2:
                where.Fill(0x90);
                break;
            case 3:
                ChangeCondition(in i, where);
                break;
            case 4:
                ReplaceByAnother(in i, where);
                break;
            case 5 when index + 1 < _instructions.Count:
                Instruction next = _instructions[index + 1];
                where = new Span<byte>((byte*)i.IP, i.Length + next.Length);
                before = [.. where];
                Swap(in i, in next, where);
                break;
            case 6 when i.FlowControl is FlowControl.ConditionalBranch or FlowControl.UnconditionalBranch:
                Retarget(in i, where, random.Pick(_instructions).IP);
                break;
            case 7:
                ChangeRegister(where);
                break;
            case 8 when i.FlowControl == FlowControl.Call:
                Retarget(in i, where, random.Pick(_instructions.FindAll(other => other.FlowControl == FlowControl.Call)).NearBranchTarget);
                break;
            case 9 or 10:
                ChangeNumber(where);
                break;
        }

        return where.SequenceEqual(before) ? null : before;
    }

    private static List<Instruction> Decode(byte* start, byte* end)
    {
        // SAFETY: the caller's range, which is mapped.
        var decoder = Decoder.Create(64, new ReadOnlySpan<byte>(start, (int)(end - start)).ToArray(), (ulong)start);
        List<Instruction> instructions = [];
        while (decoder.IP < (ulong)end)
        {
            Instruction instruction = decoder.Decode();
            if (!instruction.IsInvalid)
            {
                instructions.Add(instruction);
            }
        }

        return instructions;
    }

    // SAFETY: what was decoded lies within the code.
    private static Span<byte> Bytes(scoped in Instruction i) => new((byte*)i.IP, i.Length);

    private void ChangeCondition(in Instruction i, Span<byte> bytes)
    {
        if (i.FlowControl == FlowControl.ConditionalBranch)
        {
            // The last bit turns a condition around. The opcode of a near jump has two bytes.
            bytes[i.IsJccNear ? 1 : 0] ^= (byte)(random.OneIn(2) ? 1 : random.Below(16));
        }
    }

    private void ReplaceByAnother(in Instruction i, Span<byte> bytes)
    {
        int length = bytes.Length;
        List<Instruction> same = _instructions.FindAll(other => other.Length == length && other.FlowControl == FlowControl.Next);
        if (i.FlowControl == FlowControl.Next && same.Count > 0)
        {
            Instruction other = random.Pick(same);
            Bytes(in other).CopyTo(bytes);
        }
    }

    private static void Swap(in Instruction first, in Instruction second, Span<byte> bytes)
    {
        if (first.FlowControl == FlowControl.Next && second.FlowControl == FlowControl.Next)
        {
            byte[] swapped = [.. bytes[first.Length..], .. bytes[..first.Length]];
            swapped.CopyTo(bytes);
        }
    }

    private static void Retarget(in Instruction i, Span<byte> bytes, ulong target)
    {
        if (i.Length > sizeof(int))
        {
            BinaryPrimitives.WriteInt32LittleEndian(bytes[^sizeof(int)..], (int)(long)(target - i.NextIP));
        }
    }

    /// <summary>Flips REX.B, X or R, which is the fourth bit of a register's number.</summary>
    private void ChangeRegister(Span<byte> bytes)
    {
        int rex = bytes.IndexOfAnyInRange<byte>(0x40, 0x4F);
        if (rex >= 0)
        {
            bytes[rex] ^= (byte)(1 << random.Below(3));
        }
    }

    /// <summary>Changes a displacement or an immediate: to one that is near, or to any.</summary>
    private void ChangeNumber(Span<byte> bytes)
    {
        var decoder = Decoder.Create(64, bytes.ToArray());
        decoder.Decode(out Instruction instruction);
        ConstantOffsets offsets = decoder.GetConstantOffsets(in instruction);
        bool isImmediate = offsets.HasImmediate && (!offsets.HasDisplacement || random.OneIn(2));
        (int at, int size) = isImmediate ? (offsets.ImmediateOffset, offsets.ImmediateSize) : (offsets.DisplacementOffset, offsets.DisplacementSize);
        ulong change = random.OneIn(2) ? random.Nasty() : (ulong)(long)(random.Below(33) - 16);
        Span<byte> number = stackalloc byte[sizeof(ulong)];
        number.Clear();
        bytes.Slice(at, size).CopyTo(number);
        MemoryMarshal.Write(number, BinaryPrimitives.ReadUInt64LittleEndian(number) + change);
        number[..size].CopyTo(bytes.Slice(at, size));
    }
}
