using System.Buffers.Binary;

namespace Uml.Storage.FileSystems.Sources;

/// <summary>Numbers in tar headers: octal digits between spaces and zeroes, or GNU tar's binary ones, which have the highest bit set.</summary>
internal static class TarNumber
{
    /// <returns>False when the field has no number of 64 bits.</returns>
    public static bool TryRead(ReadOnlySpan<byte> field, out long number)
    {
        number = 0;
        if ((field[0] & 0x80) != 0)
        {
            number = BinaryPrimitives.ReadInt64BigEndian(field[^sizeof(long)..]);
            bool isNegative = (field[0] & 0x40) != 0;
            if (field.Length == sizeof(long))
            {
                number = isNegative ? number : number & long.MaxValue;
            }

            return number < 0 == isNegative;
        }

        foreach (byte digit in field.Trim(" \0"u8))
        {
            if (digit is < (byte)'0' or > (byte)'7')
            {
                return false;
            }

            // At most twelve digits of three bits.
            number = (number * 8) + digit - '0';
        }

        return true;
    }
}
