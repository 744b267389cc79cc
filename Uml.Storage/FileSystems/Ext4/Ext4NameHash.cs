using System.Numerics;

namespace Uml.Storage.FileSystems.Ext4;

/// <summary>
/// The hash of names in large directories: half of an MD4 ("Hash Tree Directories"; RFC 1320 for the functions of the rounds), with characters
/// taken as signed.
/// </summary>
/// <param name="seed">s_hash_seed: four words, not all zero.</param>
internal sealed class Ext4NameHash(uint[] seed)
{
    /// <summary>Bytes of a name that one transformation takes.</summary>
    private const int PieceBytes = 32;

    /// <summary>The hash that no name may have: it marks the end of a directory to readers.</summary>
    private const uint EndHash = 0xFFFFFFFE;

    private const uint Round2 = 0x5A827999, Round3 = 0x6ED9EBA1;

    /// <summary>The words of each round in the order in which they are used.</summary>
    private static ReadOnlySpan<byte> Order2 => [1, 3, 5, 7, 0, 2, 4, 6];

    private static ReadOnlySpan<byte> Order3 => [3, 7, 2, 6, 1, 5, 0, 4];

    /// <summary>The hash, whose lowest bit is 0, and what orders names of the same hash.</summary>
    public (uint Major, uint Minor) Of(ReadOnlySpan<byte> name)
    {
        (uint a, uint b, uint c, uint d) = (seed[0], seed[1], seed[2], seed[3]);
        Span<uint> words = stackalloc uint[PieceBytes / sizeof(uint)];
        for (; !name.IsEmpty; name = name[Math.Min(PieceBytes, name.Length)..])
        {
            Fill(words, name);
            Transform(words, ref a, ref b, ref c, ref d);
        }

        uint hash = b & ~1u;
        return (hash == EndHash ? EndHash - 2 : hash, c);
    }

    private static void Fill(Span<uint> words, ReadOnlySpan<byte> name)
    {
        uint padding = (uint)name.Length | ((uint)name.Length << 8);
        padding |= padding << 16;
        words.Fill(padding);
        int count = Math.Min(name.Length, PieceBytes);
        for (int i = 0; i < count; i++)
        {
            ref uint word = ref words[i / 4];
            word = (uint)(sbyte)name[i] + (word << 8);
        }
    }

    private static void Transform(ReadOnlySpan<uint> words, ref uint a0, ref uint b0, ref uint c0, ref uint d0)
    {
        (uint a, uint b, uint c, uint d) = (a0, b0, c0, d0);
        for (int i = 0; i < 8; i++)
        {
            int shift = (i & 3) switch { 0 => 3, 1 => 7, 2 => 11, _ => 19 };
            (a, b, c, d) = (d, BitOperations.RotateLeft(a + (d ^ (b & (c ^ d))) + words[i], shift), b, c);
        }

        for (int i = 0; i < 8; i++)
        {
            int shift = (i & 3) switch { 0 => 3, 1 => 5, 2 => 9, _ => 13 };
            (a, b, c, d) = (d, BitOperations.RotateLeft(a + (b & c) + ((b ^ c) & d) + words[Order2[i]] + Round2, shift), b, c);
        }

        for (int i = 0; i < 8; i++)
        {
            int shift = (i & 3) switch { 0 => 3, 1 => 9, 2 => 11, _ => 15 };
            (a, b, c, d) = (d, BitOperations.RotateLeft(a + (b ^ c ^ d) + words[Order3[i]] + Round3, shift), b, c);
        }

        (a0, b0, c0, d0) = (a0 + a, b0 + b, c0 + c, d0 + d);
    }
}
