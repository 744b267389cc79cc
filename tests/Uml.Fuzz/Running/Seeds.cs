using System.Globalization;

namespace Uml.Fuzz.Running;

/// <summary>Seeds: how they are written, and how those of the cases follow from that of the run.</summary>
internal static class Seeds
{
    /// <summary>Reads a seed, decimal or with 0x.</summary>
    public static bool TryParse(string text, out ulong seed) => text.StartsWith("0x", StringComparison.OrdinalIgnoreCase)
        ? ulong.TryParse(text.AsSpan(2), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out seed)
        : ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out seed);

    /// <summary>SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", 2014).</summary>
    public static ulong Derive(ulong seed, ulong index)
    {
        ulong z = unchecked(seed + ((index + 1) * 0x9e3779b97f4a7c15));
        z = unchecked((z ^ (z >> 30)) * 0xbf58476d1ce4e5b9);
        z = unchecked((z ^ (z >> 27)) * 0x94d049bb133111eb);
        return z ^ (z >> 31);
    }
}
