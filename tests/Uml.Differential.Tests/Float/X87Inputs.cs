using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Uml.Differential.Tests.Float;

/// <summary>Random states of the x87 unit and random memory operands.</summary>
internal static class X87Inputs
{
    public static X87Frame Create(X87Memory memory, Random random)
    {
        X87Frame frame = default;
        ushort masks = random.Next(2) == 0 ? (ushort)0x3F : (ushort)random.Next(64);
        ushort precision = (ushort)(random.Next(2) == 0 ? 3 : random.Next(3) is var p && p == 1 ? 3 : p);
        ushort control = (ushort)(masks | 0x40 | (precision << 8) | (random.Next(4) << 10));

        // No unmasked exception may be pending on entry; condition codes, TOP and masked flags are anything.
        ushort status = (ushort)((random.Next(0x10000) & 0x7F40) | (random.Next(64) & masks));
        ushort tags = random.Next(3) switch
        {
            0 => 0,
            1 => RandomTags(random),
            _ => (ushort)(0xFFFF << (2 * random.Next(8))),
        };
        Span<byte> image = MemoryMarshal.CreateSpan(ref frame.Before[0], 108);
        BinaryPrimitives.WriteUInt16LittleEndian(image, control);
        BinaryPrimitives.WriteUInt16LittleEndian(image[4..], status);
        BinaryPrimitives.WriteUInt16LittleEndian(image[8..], tags);
        WriteRegisters(image[28..], random);
        frame.Memory = CreateMemory(memory, random);
        frame.Rax = FloatOperands.Bits64(random);
        frame.Flags = 0x202 | ((ulong)(uint)random.Next(0x80) & 0x45);
        return frame;
    }

    private static void WriteRegisters(Span<byte> registers, Random random)
    {
        int previous = 0x3FFF;
        ulong previousSignificand = 0;
        for (int i = 0; i < 8; i++)
        {
            (ushort signExponent, ulong significand) = FloatOperands.Next80(random);
            int relation = random.Next(8);
            if (relation == 0)
            {
                // Near the neighbour: cancellation, halfway cases, equal values, remainders with few steps.
                int exponent = Math.Clamp((previous & 0x7FFF) + random.Next(-70, 71), 0, 0x7FFF);
                signExponent = (ushort)((signExponent & 0x8000) | exponent);
            }
            else if (relation == 1)
            {
                (signExponent, significand) = ((ushort)(previous ^ (random.Next(2) << 15)), previousSignificand);
            }

            BinaryPrimitives.WriteUInt64LittleEndian(registers[(10 * i)..], significand);
            BinaryPrimitives.WriteUInt16LittleEndian(registers[((10 * i) + 8)..], signExponent);
            (previous, previousSignificand) = (signExponent, significand);
        }
    }

    private static UInt128 CreateMemory(X87Memory memory, Random random)
    {
        UInt128 noise = (UInt128)FloatOperands.Bits64(random) << 64;
        switch (memory)
        {
            case X87Memory.Float32:
                return noise | FloatOperands.Next32(random);
            case X87Memory.Float64:
                return noise | FloatOperands.Next64(random);
            case X87Memory.Float80:
                (ushort signExponent, ulong significand) = FloatOperands.Next80(random);
                return ((UInt128)signExponent << 64) | significand;
            case X87Memory.Integer:
                return noise | FloatOperands.NextInteger(random);
            default:
                return CreateDecimal(random);
        }
    }

    private static UInt128 CreateDecimal(Random random)
    {
        UInt128 value = (UInt128)(random.Next(2) == 0 ? 0x80u : 0u) << 72;
        int digits = random.Next(19);
        for (int i = 0; i < digits; i++)
        {
            value |= (UInt128)(uint)random.Next(10) << (4 * i);
        }

        return value;
    }

    private static ushort RandomTags(Random random)
    {
        int tags = 0;
        for (int i = 0; i < 8; i++)
        {
            tags = (tags << 2) | (random.Next(3) == 0 ? 3 : random.Next(3));
        }

        return (ushort)tags;
    }
}
