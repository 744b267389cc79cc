using System.Runtime.Intrinsics;

namespace Uml.Core.Tests.Cpu.Semantics.Simd;

/// <summary>Vectors to compare operations on: elements at the edges of their ranges, and random ones.</summary>
internal static class VectorSamples
{
    private const int RandomCases = 2000;

    private static readonly byte[] EdgeBytes = [0, 1, 0x7F, 0x80, 0x81, 0xFF, 0xFE, 0x0F, 0x10];

    /// <summary>Pairs of vectors, the same ones in every run of a seed.</summary>
    public static IEnumerable<(Vector128<byte> A, Vector128<byte> B)> Pairs(int seed = 1)
    {
        Vector128<byte>[] edges =
        [
            Vector128<byte>.Zero,
            Vector128<byte>.AllBitsSet,
            Vector128.Create((ushort)0x8000).AsByte(),
            Vector128.Create((ushort)0x7FFF).AsByte(),
            Vector128.Create(0x80000000).AsByte(),
            Vector128.Create(0x7FFFFFFF).AsByte(),
            Vector128.Create(0x8000000000000000).AsByte(),
            Vector128.Create((byte)0x80),
            Vector128.Create((byte)0x7F),
            Vector128.Create(1UL).AsByte(),
            Vector128<byte>.Indices,
        ];

        foreach (Vector128<byte> a in edges)
        {
            foreach (Vector128<byte> b in edges)
            {
                yield return (a, b);
            }
        }

        Random random = new(seed);
        for (int i = 0; i < RandomCases; i++)
        {
            yield return (Next(random), Next(random));
        }
    }

    /// <summary>A vector in which each byte is either random or at an edge.</summary>
    public static Vector128<byte> Next(Random random)
    {
        Span<byte> bytes = stackalloc byte[16];
        random.NextBytes(bytes);
        int edges = random.Next(3) == 0 ? 16 : random.Next(4);
        for (int i = 0; i < edges; i++)
        {
            bytes[random.Next(16)] = EdgeBytes[random.Next(EdgeBytes.Length)];
        }

        return Vector128.Create<byte>(bytes);
    }
}
