using System.Text;

namespace Uml.Net.UserNet.Dns;

/// <summary>Names of DNS (RFC 1035, 3.1 and 4.1.4).</summary>
internal static class DnsName
{
    private const int MaximumLength = 255, MaximumLabel = 63, MaximumHostName = 200;

    public static bool AreEqual(string left, string right) => left.TrimEnd('.').Equals(right.TrimEnd('.'), StringComparison.OrdinalIgnoreCase);

    /// <summary>Whether it is a name that hosts have (RFC 1123, 2.1), with room for a domain behind.</summary>
    public static bool IsHostName(ReadOnlySpan<char> name)
    {
        if (name.Length is 0 or > MaximumHostName)
        {
            return false;
        }

        foreach (Range range in name.Split('.'))
        {
            ReadOnlySpan<char> label = name[range];
            if (label.Length is 0 or > MaximumLabel || label[0] == '-' || label[^1] == '-')
            {
                return false;
            }

            foreach (char c in label)
            {
                if (!char.IsAsciiLetterOrDigit(c) && c != '-')
                {
                    return false;
                }
            }
        }

        return true;
    }

    /// <summary>Reads a name.</summary>
    /// <param name="message">The message that it is in.</param>
    /// <param name="at">Where it begins; then where it ends.</param>
    /// <param name="name">The name, in lower case and with points between its labels.</param>
    /// <returns>False when it is cut off, too long, or leads in a circle.</returns>
    public static bool TryRead(ReadOnlySpan<byte> message, ref int at, out string name)
    {
        const int pointer = 0xC0;
        StringBuilder text = new();
        name = "";
        int place = at, end = -1, length = 0;
        while (place < message.Length)
        {
            int label = message[place];
            if (label == 0)
            {
                at = end < 0 ? place + 1 : end;
                name = text.ToString();
                return true;
            }

            if ((label & pointer) == pointer)
            {
                // Each pointer leads further back than all before, or it could lead in a circle.
                int target = place + 1 < message.Length ? ((label & ~pointer) << 8) | message[place + 1] : place;
                if (target >= Math.Min(place, at))
                {
                    return false;
                }

                end = end < 0 ? place + 2 : end;
                (place, at) = (target, target);
                continue;
            }

            length += label + 1;
            if (label > MaximumLabel || length > MaximumLength || place + 1 + label > message.Length || message.Slice(place + 1, label).Contains((byte)'.'))
            {
                return false;
            }

            text.Append(text.Length == 0 ? "" : ".").Append(Encoding.Latin1.GetString(message.Slice(place + 1, label)).ToLowerInvariant());
            place += 1 + label;
        }

        return false;
    }

    /// <summary>Writes a name that <see cref="IsHostName"/>.</summary>
    /// <returns>Bytes written.</returns>
    public static int Write(Span<byte> bytes, string name)
    {
        int length = 0;
        foreach (string label in name.Split('.'))
        {
            bytes[length] = (byte)label.Length;
            length += 1 + Encoding.ASCII.GetBytes(label, bytes[(length + 1)..]);
        }

        bytes[length] = 0;
        return length + 1;
    }
}
