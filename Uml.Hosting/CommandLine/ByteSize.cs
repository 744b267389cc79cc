using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace Uml.Hosting.CommandLine;

/// <summary>Sizes as the kernel's command line and UML's <c>mem=</c> spell them.</summary>
public static class ByteSize
{
    /// <summary>Reads a size: a whole number with an optional suffix K, M, G or T of either case, powers of 1024; bytes without, or with B.</summary>
    /// <param name="text">The user's input, such as <c>256M</c>.</param>
    /// <param name="bytes">The size in bytes.</param>
    /// <param name="problem">Why it is no size, as a sentence that says what to write.</param>
    /// <returns>Whether it is a size.</returns>
    public static bool TryParse(string text, out ulong bytes, [NotNullWhen(false)] out string? problem)
    {
        ArgumentNullException.ThrowIfNull(text);
        bytes = 0;
        problem = null;
        int shift = text.Length == 0 ? -1 : char.ToUpperInvariant(text[^1]) switch { 'B' => 0, 'K' => 10, 'M' => 20, 'G' => 30, 'T' => 40, _ => -1 };
        string digits = shift < 0 ? text : text[..^1];
        shift = Math.Max(0, shift);
        if (digits.Length == 0 || !digits.All(char.IsAsciiDigit))
        {
            problem = $"'{text}' is not a size; write a whole number with an optional K, M, G or T, such as 256M.";
            return false;
        }

        if (!UInt128.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out UInt128 number)
            || number > (UInt128)ulong.MaxValue >> shift)
        {
            problem = $"'{text}' is more bytes than there are; write something like 256M.";
            return false;
        }

        bytes = (ulong)(number << shift);
        return true;
    }
}
