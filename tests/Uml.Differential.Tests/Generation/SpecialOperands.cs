using System.Runtime.InteropServices;
using Iced.Intel;
using Uml.Differential.Tests.Comparison;
using Uml.Differential.Tests.Engines;

namespace Uml.Differential.Tests.Generation;

/// <summary>Operand values that single instructions need to be testable at all.</summary>
internal readonly ref struct SpecialOperands(TestCase test, Instruction instruction)
{
    /// <summary>Elements of gathers lie this far from the operand's address at most.</summary>
    public const int GatherReach = 0x8_0000;

    /// <returns>False when the instruction as drawn is not to be run.</returns>
    public bool Place(ref Rng rng)
    {
        if (EncodingChoices.ReadsTwoSizes(in instruction))
        {
            return false;
        }

        if (ProcessorChoices.LeavesAlignmentOpen(instruction.Mnemonic))
        {
            test.State.Rflags &= ~(ulong)StateGenerator.Ac;
        }

        if (instruction.IsVsib)
        {
            PlaceIndices(ref rng);
        }

        switch (instruction.Mnemonic)
        {
            case Mnemonic.Int:
                return instruction.Immediate8 != 0x80; // a system call of the host's kernel
            case Mnemonic.Shld or Mnemonic.Shrd when instruction.Op1Register.GetSize() == 2:
                return PlaceShiftCount(ref rng);
            case Mnemonic.Enter:
                return PlaceEnter();
            case Mnemonic.Ldmxcsr or Mnemonic.Vldmxcsr:
                return PlaceMxcsr(ref rng, 0);
            case Mnemonic.Fxrstor or Mnemonic.Fxrstor64:
                return PlaceFxImage(ref rng);
            case Mnemonic.Wrgsbase:
                return PlaceGsBase(ref rng);
            case Mnemonic.Cmpsb or Mnemonic.Cmpsw or Mnemonic.Cmpsd or Mnemonic.Cmpsq when instruction.IsStringInstruction:
                CopyString(ref rng);
                return true;
            default:
                return true;
        }
    }

    /// <summary>Double shifts of 16 bits by more than 16 are undefined, destination included (Intel SDM vol. 2, SHLD).</summary>
    private bool PlaceShiftCount(ref Rng rng)
    {
        if (instruction.OpCount == 3 && instruction.GetOpKind(2) == OpKind.Immediate8)
        {
            return (instruction.Immediate8 & 31) <= 16;
        }

        // CL may also be part of the memory operand's address.
        ulong cl = (ulong)rng.Below(17);
        if (Operands.GprNumber(instruction.MemoryBase) == 1 || Operands.GprNumber(instruction.MemoryIndex) == 1)
        {
            return (test.State.Gprs[1] & 31) <= 16;
        }

        test.State.Gprs[1] = (test.State.Gprs[1] & ~0xFFUL) | cl | (rng.Next() & 0xE0);
        return true;
    }

    /// <summary>Indices near the base, most of them, and a mask that has most elements.</summary>
    private void PlaceIndices(ref Rng rng)
    {
        int size = instruction.IsVsib64 ? 8 : 4;
        int index = instruction.MemoryIndex.GetNumber(), mask = instruction.Op2Register.GetNumber();
        for (int i = 0; i < 32; i += size)
        {
            long reach = rng.OneIn(24) ? GatherReach / 2 : 48;
            long value = (rng.Below((int)reach * 2) - reach) / instruction.MemoryIndexScale;
            Span<byte> lane = i < 16 ? test.State.Xmm(index)[i..] : test.State.UpperYmm(index)[(i - 16)..];
            if (size == 8)
            {
                MemoryMarshal.Write(lane, value);
            }
            else
            {
                MemoryMarshal.Write(lane, (int)value);
            }
        }

        if (rng.OneIn(2))
        {
            rng.Fill(test.State.Xmm(mask));
            rng.Fill(test.State.UpperYmm(mask));
        }
    }

    private bool PlaceEnter() => instruction.Immediate16 < 0x600;

    private bool PlaceMxcsr(ref Rng rng, int offset)
    {
        ulong address = Operands.EffectiveAddress(instruction, test.Bitness, ref test.State) + (ulong)offset;
        if (test.TryGetMemory(address, 4, out Span<byte> content))
        {
            // Bit 17, misaligned mode, is AMD's alone.
            uint value = rng.OneIn(8) ? MemoryMarshal.Read<uint>(content) & ~(1u << 17) : (uint)rng.Next() & 0xFFFF;
            MemoryMarshal.Write(content, value);
        }

        return true;
    }

    private bool PlaceFxImage(ref Rng rng)
    {
        ulong address = Operands.EffectiveAddress(instruction, test.Bitness, ref test.State);
        if (!test.TryGetMemory(address, MachineSnapshot.FxSize, out Span<byte> content))
        {
            return true;
        }

        rng.Fill(content[5..]);
        content[5] = 0;
        test.State.FxImage[..32].CopyTo(content);
        for (int i = 0; i < 8; i++)
        {
            EdgeValues.Extended(ref rng, content[(MachineSnapshot.St0Offset + (16 * i))..]);
        }

        content[MachineSnapshot.TagOffset] = (byte)rng.Next();
        return PlaceMxcsr(ref rng, MachineSnapshot.MxcsrOffset);
    }

    private bool PlaceGsBase(ref Rng rng)
    {
        int number = Operands.GprNumber(instruction.Op0Register);
        if (number == 4 || !rng.OneIn(6))
        {
            test.State.Gprs[number] = (ulong)((long)(rng.Next() << 16) >> 16);
        }

        return true;
    }

    /// <summary>Makes the strings compared alike for a while.</summary>
    private void CopyString(ref Rng rng)
    {
        if (!rng.OneIn(3)
            && test.TryGetMemory(test.State.Gprs[6], 64, out Span<byte> source)
            && test.TryGetMemory(test.State.Gprs[7], 64, out Span<byte> destination))
        {
            source.CopyTo(destination);
            destination[rng.Below(64)] ^= 1;
        }
    }
}
