using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Uml.Net.Frames;

namespace Uml.Net.Packets;

/// <summary>
/// The checksum of the Internet protocols (RFC 1071): a sum in ones' complement of 16-bit words, kept here in native byte order, in which the
/// sum is as right as in network byte order (RFC 1071, 2). Partial sums are 64 bits wide and are folded at the end.
/// </summary>
// SAFETY: the reference stays within the span: each step is as long as what it reads, and is taken while no fewer bytes are left.
internal static class InternetChecksum
{
    /// <summary>Adds bytes to a sum. All but the last bytes of a sum have to be of an even number.</summary>
    /// <param name="bytes">The bytes.</param>
    /// <param name="sum">The sum so far.</param>
    public static ulong Add(ReadOnlySpan<byte> bytes, ulong sum = 0)
    {
        ref byte next = ref MemoryMarshal.GetReference(bytes);
        int left = bytes.Length;
        if (Vector256.IsHardwareAccelerated && left >= 64)
        {
            sum = Fold64(sum) + AddVectors(ref next, left & ~31);
            next = ref Unsafe.Add(ref next, left & ~31);
            left &= 31;
        }

        for (; left >= sizeof(uint); left -= sizeof(uint))
        {
            sum += Unsafe.ReadUnaligned<uint>(ref next);
            next = ref Unsafe.Add(ref next, sizeof(uint));
        }

        if (left >= sizeof(ushort))
        {
            sum += Unsafe.ReadUnaligned<ushort>(ref next);
            next = ref Unsafe.Add(ref next, sizeof(ushort));
            left -= sizeof(ushort);
        }

        return left == 0 ? sum : sum + next;
    }

    /// <summary>Adds the bytes of a frame from a place on.</summary>
    public static ulong Add(NetFrame frame, int start, ulong sum = 0) => Add(new FrameData(frame, start, frame.Length - start), sum);

    /// <summary>Adds bytes of a frame.</summary>
    public static ulong Add(FrameData data, ulong sum = 0)
    {
        bool isOdd = false;
        foreach (ReadOnlySpan<byte> bytes in data)
        {
            // Behind an odd number of bytes each word has its bytes swapped, and so has their sum (RFC 1071, 2 B).
            ulong part = Add(bytes);
            sum = Fold64(sum) + (isOdd ? BinaryPrimitives.ReverseEndianness(Fold(part)) : part);
            isOdd ^= (bytes.Length & 1) != 0;
        }

        return sum;
    }

    /// <summary>Folds a sum to 16 bits.</summary>
    public static ushort Fold(ulong sum)
    {
        sum = (uint)sum + (sum >> 32);
        sum = (uint)sum + (sum >> 32);
        uint folded = (ushort)sum + (uint)(sum >> 16);
        return (ushort)(folded + (folded >> 16));
    }

    /// <summary>The checksum of a sum, as it is written to a header in native byte order.</summary>
    public static ushort Complete(ulong sum) => (ushort)~Fold(sum);

    /// <summary>Writes the checksum of a sum to a header.</summary>
    public static void Write(Span<byte> field, ulong sum) => MemoryMarshal.Write(field, Complete(sum));

    /// <summary>A number of a header as its bytes are summed.</summary>
    public static ushort Word(ushort value) => BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(value) : value;

    private static ulong Fold64(ulong sum) => (uint)sum + (sum >> 32);

    private static ulong AddVectors(ref byte first, int length)
    {
        Vector256<ulong> low = default, high = default;
        for (nint i = 0; i < length; i += Vector256<byte>.Count)
        {
            (Vector256<ulong> lower, Vector256<ulong> upper) = Vector256.Widen(Unsafe.ReadUnaligned<Vector256<uint>>(ref Unsafe.Add(ref first, i)));
            low += lower;
            high += upper;
        }

        return Vector256.Sum(low + high);
    }
}
