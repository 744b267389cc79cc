using System.Globalization;

namespace Uml.Differential.Tests;

/// <summary>Seeds: how they are written and drawn.</summary>
internal static class Seeds
{
    public static ulong Parse(string text) => TryParse(text, out ulong seed)
        ? seed
        : throw new FormatException($"'{text}' is not a seed; write a number of up to 64 bits, decimal or with 0x.");

    public static bool TryParse(string text, out ulong seed) => text.StartsWith("0x", StringComparison.OrdinalIgnoreCase)
        ? ulong.TryParse(text.AsSpan(2), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out seed)
        : ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out seed);

    public static ulong NextUInt64(this Random random) => ((ulong)random.NextInt64() << 1) ^ (ulong)random.NextInt64();
}
