using System.Runtime.InteropServices;

namespace Uml.Differential.Tests.Generation;

/// <summary>Values where arithmetic changes its mind: ends of ranges, powers of two, and every class of floating-point number.</summary>
internal static class EdgeValues
{
    private static ReadOnlySpan<ulong> Integers =>
    [
        0, 1, 2, 3, 7, 8, 0xF, 0x10, 0x1F, 0x20, 0x3F, 0x40, 0x7F, 0x80, 0x81, 0xFF, 0x100, 0x7FFF, 0x8000, 0x8001, 0xFFFF, 0x1_0000,
        0x7FFF_FFFF, 0x8000_0000, 0x8000_0001, 0xFFFF_FFFF, 0x1_0000_0000, 0x7FFF_FFFF_FFFF_FFFF, 0x8000_0000_0000_0000,
        0xAAAA_AAAA_AAAA_AAAA, 0x5555_5555_5555_5555, 0x0101_0101_0101_0101, 0x8080_8080_8080_8080,
    ];

    private static ReadOnlySpan<uint> Singles =>
    [
        0, 0x8000_0000, 0x3F80_0000, 0xBF80_0000, 0x3F00_0000, 0x3FC0_0000, 0x4020_0000, 0xC020_0000, // 0, 1, 0.5, 1.5, 2.5
        0x0000_0001, 0x8000_0001, 0x007F_FFFF, 0x807F_FFFF, 0x0080_0000, 0x8080_0000, 0x0080_0001, // denormals, smallest normal
        0x7F7F_FFFF, 0xFF7F_FFFF, 0x7F80_0000, 0xFF80_0000, // largest, infinities
        0x7FC0_0000, 0xFFC0_0000, 0x7FC1_2345, 0x7F80_0001, 0xFF80_0001, 0x7FBF_FFFF, 0x7FFF_FFFF, // quiet and signalling NaNs
        0x4EFF_FFFF, 0x4F00_0000, 0xCF00_0000, 0xCF00_0001, 0x5EFF_FFFF, 0x5F00_0000, 0xDF00_0000, // ends of int32 and int64
        0x4B00_0000, 0x4B00_0001, 0x4AFF_FFFF, 0x3EFF_FFFF, 0x3F7F_FFFF, // around where fractions end
    ];

    private static ReadOnlySpan<ulong> Doubles =>
    [
        0, 0x8000_0000_0000_0000, 0x3FF0_0000_0000_0000, 0xBFF0_0000_0000_0000, 0x3FE0_0000_0000_0000, 0x3FF8_0000_0000_0000,
        0x4004_0000_0000_0000, 0xC004_0000_0000_0000,
        1, 0x8000_0000_0000_0001, 0x000F_FFFF_FFFF_FFFF, 0x0010_0000_0000_0000, 0x8010_0000_0000_0000, 0x0010_0000_0000_0001,
        0x7FEF_FFFF_FFFF_FFFF, 0xFFEF_FFFF_FFFF_FFFF, 0x7FF0_0000_0000_0000, 0xFFF0_0000_0000_0000,
        0x7FF8_0000_0000_0000, 0xFFF8_0000_0000_0000, 0x7FF8_0000_1234_5678, 0x7FF0_0000_0000_0001, 0xFFF7_FFFF_FFFF_FFFF,
        0x41DF_FFFF_FFC0_0000, 0x41E0_0000_0000_0000, 0xC1E0_0000_0000_0000, 0xC1E0_0000_0020_0000, 0x41DF_FFFF_FFE0_0000,
        0x43DF_FFFF_FFFF_FFFF, 0x43E0_0000_0000_0000, 0xC3E0_0000_0000_0000, 0x4330_0000_0000_0000, 0x432F_FFFF_FFFF_FFFF,
        0x36A0_0000_0000_0000, 0x3690_0000_0000_0000, 0x380F_FFFF_FFFF_FFFF, 0x3810_0000_0000_0000, 0x47EF_FFFF_F000_0000,
        0x47EF_FFFF_E000_0000, 0x3FDF_FFFF_FFFF_FFFF, 0x3FEF_FFFF_FFFF_FFFF,
    ];

    private static ReadOnlySpan<ulong> ExtendedSignificands =>
    [
        0x8000_0000_0000_0000, 0x8000_0000_0000_0001, 0xFFFF_FFFF_FFFF_FFFF, 0xC000_0000_0000_0000, 0xA000_0000_0000_0000,
        0x8000_0080_0000_0000, 0x8000_0000_0000_0400, 0x8000_0000_0000_0C00, 0xFFFF_FF80_0000_0000, 0xFFFF_FFFF_FFFF_FC00,
        0, 1, 0x7FFF_FFFF_FFFF_FFFF, 0x4000_0000_0000_0000, 0xBFFF_FFFF_FFFF_FFFF, 0xC000_0000_0000_0001,
    ];

    private static ReadOnlySpan<ushort> ExtendedExponents =>
    [
        0, 1, 2, 0x3F80, 0x3F81, 0x3C00, 0x3C01, 0x3BCD, 0x3FBE, 0x3FBF, 0x3FFD, 0x3FFE, 0x3FFF, 0x4000, 0x4001, 0x401D, 0x401E, 0x403D,
        0x403E, 0x403F, 0x407E, 0x407F, 0x43FE, 0x43FF, 0x7FFD, 0x7FFE, 0x7FFF,
    ];

    /// <summary>A 64-bit integer whose low parts are edge values of their own sizes too.</summary>
    public static ulong Integer(ref Rng rng)
    {
        switch (rng.Below(8))
        {
            case 0:
            case 1:
                return rng.Next();
            case 2:
                return 1UL << rng.Below(64);
            case 3:
                return (1UL << rng.Below(64)) - 1;
            case 4:
                return ~(1UL << rng.Below(64));
            case 5:
                // An edge value in the low bits under unrelated high bits: finds operations that read too much.
                int bits = 8 << rng.Below(3);
                return (rng.Next() << bits) | (Integers[rng.Below(Integers.Length)] & ((1UL << bits) - 1));
            default:
                ulong value = Integers[rng.Below(Integers.Length)];
                return rng.OneIn(2) ? value : 0 - value;
        }
    }

    public static uint Single(ref Rng rng) => rng.Below(4) switch
    {
        0 => (uint)rng.Next(),
        1 => ((uint)rng.Next() & 0x807F_FFFF) | ((uint)(112 + rng.Below(32)) << 23), // moderate exponents meet and cancel
        _ => Singles[rng.Below(Singles.Length)] ^ (rng.OneIn(4) ? 0x8000_0000 : 0),
    };

    public static ulong Double(ref Rng rng) => rng.Below(4) switch
    {
        0 => rng.Next(),
        1 => (rng.Next() & 0x800F_FFFF_FFFF_FFFF) | ((ulong)(1008 + rng.Below(32)) << 52),
        _ => Doubles[rng.Below(Doubles.Length)] ^ (rng.OneIn(4) ? 1UL << 63 : 0),
    };

    /// <summary>An x87 register: every class, the unsupported encodings included.</summary>
    public static void Extended(ref Rng rng, Span<byte> ten)
    {
        ulong significand = rng.Below(3) switch
        {
            0 => rng.Next() | 1UL << 63,
            1 when rng.OneIn(4) => rng.Next(),
            _ => ExtendedSignificands[rng.Below(rng.OneIn(3) ? ExtendedSignificands.Length : 10)],
        };
        ushort exponent = rng.Below(3) switch
        {
            0 => (ushort)(0x3FFF - 32 + rng.Below(64)),
            1 when rng.OneIn(2) => (ushort)(rng.Next() & 0x7FFF),
            _ => ExtendedExponents[rng.Below(ExtendedExponents.Length)],
        };
        if (rng.OneIn(12))
        {
            significand = 0;
            exponent = 0;
        }

        MemoryMarshal.Write(ten, significand);
        MemoryMarshal.Write(ten[8..], (ushort)(exponent | (rng.OneIn(2) ? 0x8000 : 0)));
    }

    /// <summary>Bytes of a vector register or a memory operand, as lanes of one kind.</summary>
    public static void Fill(ref Rng rng, Span<byte> bytes)
    {
        switch (rng.Below(8))
        {
            case 0:
                rng.Fill(bytes);
                break;
            case 1:
                bytes.Fill(rng.OneIn(2) ? (byte)0 : (byte)0xFF);
                break;
            case 2:
            case 3:
                FillLanes(ref rng, bytes, 1 << rng.Below(4));
                break;
            case 4:
            case 5:
                for (int i = 0; i + 4 <= bytes.Length; i += 4)
                {
                    MemoryMarshal.Write(bytes[i..], Single(ref rng));
                }

                break;
            case 6:
                for (int i = 0; i + 8 <= bytes.Length; i += 8)
                {
                    MemoryMarshal.Write(bytes[i..], Double(ref rng));
                }

                break;
            default:
                for (int i = 0; i + 10 <= bytes.Length; i += 16)
                {
                    Extended(ref rng, bytes[i..]);
                }

                break;
        }
    }

    private static void FillLanes(ref Rng rng, Span<byte> bytes, int size)
    {
        Span<byte> value = stackalloc byte[8];
        for (int i = 0; i + size <= bytes.Length; i += size)
        {
            MemoryMarshal.Write(value, Integer(ref rng));
            value[..size].CopyTo(bytes[i..]);
        }
    }
}
