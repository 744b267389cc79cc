using System.Globalization;

namespace Uml.Differential.Tests;

/// <summary>How seeds are written.</summary>
internal static class Settings
{
    public static ulong ParseSeed(string text) => text.StartsWith("0x", StringComparison.OrdinalIgnoreCase)
        ? ulong.Parse(text.AsSpan(2), NumberStyles.HexNumber, CultureInfo.InvariantCulture)
        : ulong.Parse(text, CultureInfo.InvariantCulture);
}
