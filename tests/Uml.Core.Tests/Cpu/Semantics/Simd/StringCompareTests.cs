using System.Runtime.Intrinsics;
using System.Text;
using Uml.Core.Cpu.Semantics.Simd;

namespace Uml.Core.Tests.Cpu.Semantics.Simd;

/// <summary>The control byte of PCMPxSTRx (SDM vol. 2B, 4.1) against a naive reading of the manual's tables, and by example.</summary>
public class StringCompareTests
{
    [TestCase("aeiou", "hello world", 0x00, 0b000_1001_0010u, TestName = "Equal any finds the vowels")]
    [TestCase("azAZ", "Hi, You 2", 0x04, 0b0_0111_0011u, TestName = "Ranges finds the letters")]
    [TestCase("abcdef", "abXdef", 0x18, 0b0000_0000_0000_0100u, TestName = "Equal each, negated, finds the difference")]
    [TestCase("ana", "banana", 0x0C, 0b00_1010u, TestName = "Equal ordered finds overlapping occurrences")]
    public void Bytes_compare_as_documented(string a, string b, int immediate, uint expected)
    {
        uint result = StringCompare.Compare(Bytes(a), a.Length, Bytes(b), b.Length, (byte)immediate);
        Assert.That(result, Is.EqualTo(expected));
    }

    [Test]
    public void An_occurrence_may_run_over_the_end_of_the_register_but_not_of_the_string()
    {
        Vector128<byte> full = Bytes("0123456789abcdxy");
        Assert.That(StringCompare.Compare(Bytes("xyz"), 3, full, 16, 0x0C), Is.EqualTo(1u << 14));
        Assert.That(StringCompare.Compare(Bytes("xyz"), 3, Bytes("0123456789abcxy"), 15, 0x0C), Is.Zero);
    }

    [Test]
    public void Lengths_are_found_or_clamped()
    {
        using (Assert.EnterMultipleScope())
        {
            Assert.That(StringCompare.ImplicitLength(Bytes("abc"), 0), Is.EqualTo(3));
            Assert.That(StringCompare.ImplicitLength(Vector128<byte>.AllBitsSet, 0), Is.EqualTo(16));
            Assert.That(StringCompare.ImplicitLength(Vector128<byte>.AllBitsSet, 1), Is.EqualTo(8));
            Assert.That(StringCompare.ExplicitLength(-3, 0), Is.EqualTo(3));
            Assert.That(StringCompare.ExplicitLength(long.MinValue, 0), Is.EqualTo(16));
            Assert.That(StringCompare.ExplicitLength(int.MaxValue, 1), Is.EqualTo(8));
        }
    }

    [Test]
    public void Index_and_mask_come_in_both_shapes()
    {
        using (Assert.EnterMultipleScope())
        {
            Assert.That(StringCompare.Index(0b0110, 0), Is.EqualTo(1));
            Assert.That(StringCompare.Index(0b0110, 0x40), Is.EqualTo(2));
            Assert.That(StringCompare.Index(0, 0), Is.EqualTo(16));
            Assert.That(StringCompare.Index(0, 1), Is.EqualTo(8));
            Assert.That(StringCompare.Mask(0x8001, 0), Is.EqualTo(Vector128.CreateScalar(0x8001u).AsByte()));
            Assert.That(StringCompare.Mask(0x8002, 0x40), Is.EqualTo(Vector128.Create(0xFF00UL, 0xFF00000000000000UL).AsByte()));
            Assert.That(StringCompare.Mask(0x81, 0x41), Is.EqualTo(Vector128.Create(0xFFFFUL, 0xFFFF000000000000UL).AsByte()));
        }
    }

    [Test]
    public void Every_control_byte_agrees_with_the_tables_of_the_manual()
    {
        Random random = new(11);
        for (int immediate = 0; immediate < 0x40; immediate++)
        {
            for (int i = 0; i < 300; i++)
            {
                Vector128<byte> a = Few(random);
                Vector128<byte> b = Few(random);
                int count = StringCompare.ElementCount((byte)immediate);
                int aLength = random.Next(count + 1);
                int bLength = random.Next(count + 1);
                uint expected = Naive(a, aLength, b, bLength, immediate);
                uint actual = StringCompare.Compare(a, aLength, b, bLength, (byte)immediate);
                Assert.That(actual, Is.EqualTo(expected), $"{a} {aLength}, {b} {bLength}, {immediate:X2}");
            }
        }
    }

    private static Vector128<byte> Bytes(string text)
    {
        byte[] bytes = new byte[16];
        Encoding.ASCII.GetBytes(text, bytes);
        return Vector128.Create(bytes);
    }

    /// <summary>A vector of few different values, so that they match now and then.</summary>
    private static Vector128<byte> Few(Random random)
    {
        byte[] values = [0, 0, 1, 0x80, 0xFF];
        byte[] bytes = new byte[16];
        for (int i = 0; i < bytes.Length; i++)
        {
            bytes[i] = values[random.Next(values.Length)];
        }

        return Vector128.Create(bytes);
    }

    /// <summary>The pseudo-code: all comparisons, overrides for invalid elements, aggregation, polarity.</summary>
    private static uint Naive(Vector128<byte> a, int aLength, Vector128<byte> b, int bLength, int immediate)
    {
        int count = (immediate & 1) != 0 ? 8 : 16;
        int mode = (immediate >> 2) & 3;
        uint result = 0;
        for (int j = 0; j < count; j++)
        {
            bool bit = mode switch
            {
                0 => Enumerable.Range(0, count).Any(i => Matches(i, j)),
                1 => Enumerable.Range(0, count / 2).Any(i => Matches(2 * i, j) && Matches((2 * i) + 1, j)),
                2 => Matches(j, j),
                _ => Enumerable.Range(0, count - j).All(i => Matches(i, j + i)),
            };
            result |= bit ? 1u << j : 0;
        }

        return ((immediate >> 4) & 3) switch
        {
            1 => result ^ ((1u << count) - 1),
            3 => result ^ ((1u << bLength) - 1),
            _ => result,
        };

        bool Matches(int i, int j)
        {
            bool aValid = i < aLength;
            bool bValid = j < bLength;
            if (!aValid || !bValid)
            {
                return mode switch { 0 or 1 => false, 2 => aValid == bValid, _ => !aValid };
            }

            int x = Element(a, i);
            int y = Element(b, j);
            return mode != 1 ? x == y : (i & 1) == 0 ? y >= x : y <= x;
        }

        int Element(Vector128<byte> value, int index) => (immediate & 3) switch
        {
            0 => value.GetElement(index),
            1 => value.AsUInt16().GetElement(index),
            2 => value.AsSByte().GetElement(index),
            _ => value.AsInt16().GetElement(index),
        };
    }
}
