using System.Numerics;
using System.Runtime.Intrinsics;

namespace Uml.Core.Cpu.Semantics.Simd;

/// <summary>
/// PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM (SDM vol. 2B, 4.1, "Imm8 control byte operation").
/// </summary>
internal static class StringCompare
{
    private const byte WordsFormat = 1;
    private const byte SignedFormat = 2;

    /// <summary>Elements in a register: the immediate's bit 0 selects words.</summary>
    public static int ElementCount(byte immediate) => (immediate & WordsFormat) != 0 ? 8 : 16;

    /// <summary>Length of a string that ends at its first zero element.</summary>
    public static int ImplicitLength(Vector128<byte> value, byte immediate)
    {
        uint zeros = (immediate & WordsFormat) != 0
            ? Vector128.Equals(value.AsUInt16(), Vector128<ushort>.Zero).ExtractMostSignificantBits()
            : Vector128.Equals(value, Vector128<byte>.Zero).ExtractMostSignificantBits();
        return Math.Min(BitOperations.TrailingZeroCount(zeros), ElementCount(immediate));
    }

    /// <summary>Length from EAX or EDX: the magnitude, at most a whole register.</summary>
    public static int ExplicitLength(long length, byte immediate)
    {
        int count = ElementCount(immediate);
        return length > -count && length < count ? (int)Math.Abs(length) : count;
    }

    /// <summary>IntRes2: a bit for each element of <paramref name="b"/>.</summary>
    /// <param name="a">First operand: the set, ranges or needle.</param>
    /// <param name="aLength">Valid elements of <paramref name="a"/>.</param>
    /// <param name="b">Second operand.</param>
    /// <param name="bLength">Valid elements of <paramref name="b"/>.</param>
    /// <param name="immediate">The control byte.</param>
    public static uint Compare(Vector128<byte> a, int aLength, Vector128<byte> b, int bLength, byte immediate)
    {
        int count = ElementCount(immediate);
        uint all = (1u << count) - 1;
        uint result = ((immediate >> 2) & 3) switch
        {
            0 => EqualAny(a, aLength, b, bLength, immediate),
            1 => Ranges(a, aLength, b, bLength, immediate),
            2 => EqualEach(a, aLength, b, bLength, immediate),
            _ => EqualOrdered(a, aLength, b, bLength, immediate),
        };

        return ((immediate >> 4) & 3) switch
        {
            1 => ~result & all,
            3 => result ^ ((1u << bLength) - 1),
            _ => result,
        };
    }

    /// <summary>The index that PCMPxSTRI returns: the first or the last set bit, or the element count when there is none.</summary>
    public static uint Index(uint result, byte immediate)
    {
        if (result == 0)
        {
            return (uint)ElementCount(immediate);
        }

        return (immediate & 0x40) != 0 ? 31 - (uint)BitOperations.LeadingZeroCount(result) : (uint)BitOperations.TrailingZeroCount(result);
    }

    /// <summary>The mask that PCMPxSTRM returns: bits, or elements of ones.</summary>
    public static Vector128<byte> Mask(uint result, byte immediate)
    {
        if ((immediate & 0x40) == 0)
        {
            return Vector128.CreateScalar(result).AsByte();
        }

        return (immediate & WordsFormat) != 0
            ? BlendImmediate<ushort>.Apply(Vector128<byte>.Zero, Vector128<byte>.AllBitsSet, (byte)result)
            : Vector128.Create(
                Spread(BlendImmediate<ushort>.Apply(Vector128<byte>.Zero, Vector128<byte>.AllBitsSet, (byte)result)),
                Spread(BlendImmediate<ushort>.Apply(Vector128<byte>.Zero, Vector128<byte>.AllBitsSet, (byte)(result >> 8))));
    }

    private static Vector64<byte> Spread(Vector128<byte> words) => Vector128.Narrow(words.AsUInt16(), Vector128<ushort>.Zero).GetLower();

    private static int Element(Vector128<byte> value, int index, byte immediate) => (immediate & (WordsFormat | SignedFormat)) switch
    {
        0 => value.GetElement(index),
        WordsFormat => value.AsUInt16().GetElement(index),
        SignedFormat => value.AsSByte().GetElement(index),
        _ => value.AsInt16().GetElement(index),
    };

    private static uint EqualAny(Vector128<byte> a, int aLength, Vector128<byte> b, int bLength, byte immediate)
    {
        uint result = 0;
        for (int i = 0; i < aLength; i++)
        {
            result |= EqualTo(b, Element(a, i, immediate), immediate);
        }

        return result & ((1u << bLength) - 1);
    }

    private static uint Ranges(Vector128<byte> a, int aLength, Vector128<byte> b, int bLength, byte immediate)
    {
        uint result = 0;
        for (int j = 0; j < bLength; j++)
        {
            int value = Element(b, j, immediate);
            for (int i = 0; i + 1 < aLength; i += 2)
            {
                if (value >= Element(a, i, immediate) && value <= Element(a, i + 1, immediate))
                {
                    result |= 1u << j;
                }
            }
        }

        return result;
    }

    /// <summary>Element by element; positions behind the end of both strings are equal, behind the end of one they are not.</summary>
    private static uint EqualEach(Vector128<byte> a, int aLength, Vector128<byte> b, int bLength, byte immediate)
    {
        uint equal = (immediate & WordsFormat) != 0
            ? Vector128.Equals(a.AsUInt16(), b.AsUInt16()).ExtractMostSignificantBits()
            : Vector128.Equals(a, b).ExtractMostSignificantBits();
        uint behindBoth = (1u << ElementCount(immediate)) - (1u << Math.Max(aLength, bLength));
        return (equal & ((1u << Math.Min(aLength, bLength)) - 1)) | behindBoth;
    }

    /// <summary>Where the first string occurs in the second; an occurrence may run over the register's end but not over the string's.</summary>
    private static uint EqualOrdered(Vector128<byte> a, int aLength, Vector128<byte> b, int bLength, byte immediate)
    {
        uint all = (1u << ElementCount(immediate)) - 1;
        uint valid = (1u << bLength) - 1;
        uint result = all;
        for (int i = 0; i < aLength; i++)
        {
            uint matches = EqualTo(b, Element(a, i, immediate), immediate) & valid;

            // Elements behind the register's end count as matches.
            result &= (matches >> i) | (all & ~(all >> i));
        }

        return result;
    }

    private static uint EqualTo(Vector128<byte> b, int value, byte immediate) => (immediate & WordsFormat) != 0
        ? Vector128.Equals(b.AsUInt16(), Vector128.Create((ushort)value)).ExtractMostSignificantBits()
        : Vector128.Equals(b, Vector128.Create((byte)value)).ExtractMostSignificantBits();
}
