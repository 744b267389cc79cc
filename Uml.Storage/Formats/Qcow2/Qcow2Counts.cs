using System.Buffers.Binary;

namespace Uml.Storage.Formats.Qcow2;

/// <summary>Reference counts in a refcount block, of 1 to 64 bits each; those of less than a byte begin at its lowest bit.</summary>
internal static class Qcow2Counts
{
    public static ulong Get(ReadOnlySpan<byte> block, int i, int order) => order switch
    {
        3 => block[i],
        4 => BinaryPrimitives.ReadUInt16BigEndian(block[(i * 2)..]),
        5 => BinaryPrimitives.ReadUInt32BigEndian(block[(i * 4)..]),
        6 => BinaryPrimitives.ReadUInt64BigEndian(block[(i * 8)..]),
        _ => (ulong)(block[i >> (3 - order)] >> ShiftOf(i, order)) & MaximumOf(order),
    };

    public static void Set(Span<byte> block, int i, int order, ulong value)
    {
        switch (order)
        {
            case 3: block[i] = (byte)value; break;
            case 4: BinaryPrimitives.WriteUInt16BigEndian(block[(i * 2)..], (ushort)value); break;
            case 5: BinaryPrimitives.WriteUInt32BigEndian(block[(i * 4)..], (uint)value); break;
            case 6: BinaryPrimitives.WriteUInt64BigEndian(block[(i * 8)..], value); break;
            default:
                ref byte cell = ref block[i >> (3 - order)];
                int shift = ShiftOf(i, order);
                cell = (byte)((cell & ~((int)MaximumOf(order) << shift)) | ((int)value << shift));
                break;
        }
    }

    /// <summary>The byte of a block in which a count begins.</summary>
    public static int ByteOf(int i, int order) => order < 3 ? i >> (3 - order) : i << (order - 3);

    /// <summary>The largest count.</summary>
    public static ulong MaximumOf(int order) => order == 6 ? ulong.MaxValue : (1UL << (1 << order)) - 1;

    private static int ShiftOf(int i, int order) => (i & ((8 >> order) - 1)) << order;
}
