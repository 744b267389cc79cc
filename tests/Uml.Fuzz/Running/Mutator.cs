using System.Buffers.Binary;

namespace Uml.Fuzz.Running;

/// <summary>Damages bytes the way that files are damaged and attackers damage them.</summary>
internal static class Mutator
{
    private const int MostMutations = 8;

    /// <summary>Makes a damaged copy.</summary>
    /// <param name="random">The case's randomness.</param>
    /// <param name="original">What is damaged.</param>
    /// <param name="headerBytes">Half of the damage is done to so many first bytes.</param>
    public static byte[] Mutate(FuzzRandom random, ReadOnlySpan<byte> original, int headerBytes)
    {
        byte[] bytes = original.ToArray();
        for (int i = 1 + random.Below(MostMutations); i > 0 && bytes.Length > 0; i--)
        {
            int limit = random.OneIn(2) ? Math.Min(headerBytes, bytes.Length) : bytes.Length;
            bytes = MutateOnce(random, bytes, random.Below(limit));
        }

        return bytes;
    }

    private static byte[] MutateOnce(FuzzRandom random, byte[] bytes, int at)
    {
        switch (random.Below(8))
        {
            case 0:
                bytes[at] ^= (byte)(1 << random.Below(8));
                return bytes;
            case 1:
                bytes[at] = (byte)random.UInt64();
                return bytes;
            case <= 4:
                Span<byte> number = stackalloc byte[sizeof(ulong)];
                ulong value = random.Nasty();
                bool isBigEndian = random.OneIn(4);
                int width = 1 << random.Below(4);
                BinaryPrimitives.WriteUInt64LittleEndian(number, isBigEndian ? BinaryPrimitives.ReverseEndianness(value) : value);
                number = isBigEndian ? number[^width..] : number[..width];
                number[..Math.Min(width, bytes.Length - at)].CopyTo(bytes.AsSpan(at));
                return bytes;
            case 5:
                return bytes[..at];
            case 6:
                int removed = Math.Min(bytes.Length - at, 1 + random.Below(64));
                return [.. bytes.AsSpan(0, at), .. bytes.AsSpan(at + removed)];
            default:
                int from = random.Below(bytes.Length);
                int count = Math.Min(bytes.Length - Math.Max(from, at), 1 + random.Below(64));
                bytes.AsSpan(from, count).CopyTo(bytes.AsSpan(at));
                return bytes;
        }
    }
}
