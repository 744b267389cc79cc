using Uml.Core.Cpu.Semantics;

namespace Uml.Core.Tests.Cpu.Semantics;

/// <summary>PDEP and PEXT where the host has them are compared with the processor elsewhere; here is what runs where it does not.</summary>
[TestFixture]
public sealed class BitManipulationTests
{
    [Test]
    public void The_portable_deposit_is_what_the_manual_says()
    {
        foreach ((ulong source, ulong mask) in Samples())
        {
            ulong expected = 0;
            int next = 0;
            for (int bit = 0; bit < 64; bit++)
            {
                if ((mask >> bit & 1) != 0)
                {
                    expected |= (source >> next++ & 1) << bit;
                }
            }

            Assert.That(BitManipulation.DepositPortable(source, mask), Is.EqualTo(expected), $"{source:x} {mask:x}");
            Assert.That(BitManipulation.Deposit(source, mask), Is.EqualTo(expected), $"{source:x} {mask:x}");
        }
    }

    [Test]
    public void The_portable_extract_is_what_the_manual_says()
    {
        foreach ((ulong source, ulong mask) in Samples())
        {
            ulong expected = 0;
            int next = 0;
            for (int bit = 0; bit < 64; bit++)
            {
                if ((mask >> bit & 1) != 0)
                {
                    expected |= (source >> bit & 1) << next++;
                }
            }

            Assert.That(BitManipulation.ExtractPortable(source, mask), Is.EqualTo(expected), $"{source:x} {mask:x}");
            Assert.That(BitManipulation.Extract(source, mask), Is.EqualTo(expected), $"{source:x} {mask:x}");
        }
    }

    private static IEnumerable<(ulong Source, ulong Mask)> Samples()
    {
        ulong[] edges = [0, 1, 1UL << 63, ulong.MaxValue, 0x5555_5555_5555_5555, 0xFFFF_FFFF];
        foreach (ulong source in edges)
        {
            foreach (ulong mask in edges)
            {
                yield return (source, mask);
            }
        }

        var random = new Random(1);
        for (int i = 0; i < 200; i++)
        {
            yield return ((ulong)random.NextInt64() * 3, (ulong)random.NextInt64() * 5);
        }
    }
}
