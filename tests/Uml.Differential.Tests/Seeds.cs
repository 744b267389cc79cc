using System.Globalization;

namespace Uml.Differential.Tests;

/// <summary>Seeds: how they are written and drawn.</summary>
internal static class Seeds
{
    public static ulong Parse(string text) => text.StartsWith("0x", StringComparison.OrdinalIgnoreCase)
        ? ulong.Parse(text.AsSpan(2), NumberStyles.HexNumber, CultureInfo.InvariantCulture)
        : ulong.Parse(text, CultureInfo.InvariantCulture);

    public static ulong NextUInt64(this Random random) => ((ulong)random.NextInt64() << 1) ^ (ulong)random.NextInt64();
}
