using System.Globalization;

namespace Uml.Core.Boot;

/// <summary>Numbers and bytes as messages show them.</summary>
internal static class Describe
{
    /// <summary>The first eight bytes in hexadecimal.</summary>
    public static string FirstBytes(ReadOnlySpan<byte> data) =>
        data.IsEmpty ? "nothing" : "the bytes " + Convert.ToHexString(data[..Math.Min(8, data.Length)]);

    /// <summary>A size, in MiB when it is not tiny; sizes that are needed are rounded up by the caller.</summary>
    public static string Size(ulong bytes) =>
        bytes < 1024 * 1024
            ? string.Create(CultureInfo.InvariantCulture, $"{bytes} bytes")
            : string.Create(CultureInfo.InvariantCulture, $"{bytes / (1024.0 * 1024.0):0.#} MiB");
}
