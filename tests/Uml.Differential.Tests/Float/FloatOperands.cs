namespace Uml.Differential.Tests.Float;

/// <summary>Random operands that meet the corners often: NaNs, infinities, denormals, powers of two and their neighbours.</summary>
internal static class FloatOperands
{
    private static ReadOnlySpan<uint> Edges32 =>
    [
        0, 0x8000_0000, 1, 0x8000_0001, 0x7F_FFFF, 0x80_0000, 0x80_0001, 0x8080_0000, 0x0100_0000, 0x3F80_0000, 0xBF80_0000, 0x3F7F_FFFF,
        0x3F80_0001, 0x3F00_0000, 0x4000_0000, 0x4040_0000, 0x7F7F_FFFF, 0xFF7F_FFFF, 0x7F80_0000, 0xFF80_0000, 0x7F80_0001, 0xFF80_0001,
        0x7FBF_FFFF, 0x7FC0_0000, 0xFFC0_0000, 0x7FC1_2345, 0x7FFF_FFFF, 0x4EFF_FFFF, 0x4F00_0000, 0xCF00_0000, 0xCF00_0001, 0x5F00_0000,
        0xDF00_0000, 0x5EFF_FFFF, 0x3FC0_0000, 0x4020_0000, 0x1F80_0000, 0x2000_0000, 0x5F80_0000,
    ];

    private static ReadOnlySpan<ulong> Edges64 =>
    [
        0, 1UL << 63, 1, (1UL << 63) | 1, 0x000F_FFFF_FFFF_FFFF, 0x0010_0000_0000_0000, 0x0010_0000_0000_0001, 0x0020_0000_0000_0000,
        0x3FF0_0000_0000_0000, 0xBFF0_0000_0000_0000, 0x3FEF_FFFF_FFFF_FFFF, 0x3FF0_0000_0000_0001, 0x3FE0_0000_0000_0000,
        0x4000_0000_0000_0000, 0x7FEF_FFFF_FFFF_FFFF, 0xFFEF_FFFF_FFFF_FFFF, 0x7FF0_0000_0000_0000, 0xFFF0_0000_0000_0000,
        0x7FF0_0000_0000_0001, 0xFFF0_0000_0000_0001, 0x7FF7_FFFF_FFFF_FFFF, 0x7FF8_0000_0000_0000, 0xFFF8_0000_0000_0000,
        0x7FF8_1234_5678_9ABC, 0x41DF_FFFF_FFC0_0000, 0x41DF_FFFF_FFE0_0000, 0x41E0_0000_0000_0000, 0xC1E0_0000_0000_0000,
        0xC1E0_0000_0010_0000, 0xC1E0_0000_0020_0000, 0x43DF_FFFF_FFFF_FFFF, 0x43E0_0000_0000_0000, 0xC3E0_0000_0000_0000,
        0xC3E0_0000_0000_0001, 0x3FF8_0000_0000_0000, 0x4004_0000_0000_0000, 0x380F_FFFF_FFFF_FFFF, 0x3810_0000_0000_0000,
        0x380F_FFFF_F000_0000, 0x380F_FFFF_E000_0000, 0x36A0_0000_0000_0000, 0x3690_0000_0000_0000, 0x47EF_FFFF_E000_0000,
        0x47EF_FFFF_F000_0000, 0x47F0_0000_0000_0000, 0x1FF0_0000_0000_0000, 0x2000_0000_0000_0000, 0x5FF0_0000_0000_0000,
    ];

    private static ReadOnlySpan<ushort> Exponents80 =>
    [
        0, 0, 1, 2, 3, 63, 64, 65, 0x3F80, 0x3F81, 0x3C00, 0x3C01, 0x3FBE, 0x3FFD, 0x3FFE, 0x3FFF, 0x4000, 0x4001, 0x400D, 0x400E, 0x400F, 0x401D,
        0x401E, 0x401F, 0x403C, 0x403D, 0x403E, 0x403F, 0x407E, 0x407F, 0x43FE, 0x43FF, 0x7FFD, 0x7FFE, 0x7FFF, 0x7FFF, 0x1FFF, 0x2000, 0x5FFF,
    ];

    public static uint Next32(Random random) => random.Next(8) switch
    {
        0 or 1 => Edges32[random.Next(Edges32.Length)],
        2 => Edges32[random.Next(Edges32.Length)] ^ (1u << random.Next(32)),
        3 => Build32(random, 1 + random.Next(30)),
        4 => Build32(random, 225 + random.Next(30)),
        5 or 6 => Build32(random, 120 + random.Next(40)),
        _ => (uint)random.NextInt64(),
    };

    public static ulong Next64(Random random) => random.Next(8) switch
    {
        0 or 1 => Edges64[random.Next(Edges64.Length)],
        2 => Edges64[random.Next(Edges64.Length)] ^ (1UL << random.Next(64)),
        3 => Build64(random, 1 + random.Next(60)),
        4 => Build64(random, 1985 + random.Next(60)),
        5 => Build64(random, 1010 + random.Next(80)),
        6 => Build64(random, 1023 - 152 + random.Next(300)),
        _ => Bits64(random),
    };

    public static (ushort SignExponent, ulong Significand) Next80(Random random)
    {
        ushort sign = (ushort)(random.Next(2) << 15);
        int exponent = random.Next(4) switch
        {
            0 or 1 => Exponents80[random.Next(Exponents80.Length)],
            2 => 0x3FFF - 70 + random.Next(140),
            _ => random.Next(0x8000),
        };
        ulong significand = random.Next(8) switch
        {
            0 => 0,
            1 => 0xFFFF_FFFF_FFFF_FFFF,
            2 => 1UL << random.Next(64),
            3 => ulong.MaxValue << random.Next(64),
            4 => (Bits64(random) >> 40) << 40,
            _ => Bits64(random),
        };

        // Mostly valid encodings; sometimes unnormals, pseudo-NaNs and pseudo-denormals.
        if (random.Next(16) != 0)
        {
            significand = exponent == 0 ? significand & (ulong.MaxValue >> 1) : significand | (1UL << 63);
        }

        return ((ushort)(sign | exponent), significand);
    }

    public static ulong Bits64(Random random) => (ulong)random.NextInt64() ^ ((ulong)random.NextInt64() << 1);

    public static ulong NextInteger(Random random) => random.Next(4) switch
    {
        0 => (ulong)(random.Next(7) - 3),
        1 => 1UL << random.Next(64),
        2 => Bits64(random) >> random.Next(64),
        _ => Bits64(random),
    };

    private static uint Build32(Random random, int exponent) =>
        ((uint)random.Next(2) << 31) | ((uint)exponent << 23) | Sparse(random, 23);

    private static ulong Build64(Random random, int exponent) =>
        ((ulong)(uint)random.Next(2) << 63) | ((ulong)(uint)exponent << 52) | Sparse64(random, 52);

    private static uint Sparse(Random random, int bits) => (uint)Sparse64(random, bits);

    /// <summary>Fractions with long runs of equal bits hit exact and halfway cases.</summary>
    private static ulong Sparse64(Random random, int bits)
    {
        ulong mask = (1UL << bits) - 1;
        return random.Next(4) switch
        {
            0 => 0,
            1 => (mask << random.Next(bits)) & mask,
            2 => (1UL << random.Next(bits)) | (ulong)(uint)random.Next(4),
            _ => Bits64(random) & mask,
        };
    }
}
