using System.Collections.Immutable;

namespace Uml.Storage.Tools;

/// <summary>What formats are called on command lines.</summary>
public static class DiskImageFormatName
{
    /// <summary>All names, in the order of <see cref="DiskImageFormat"/>.</summary>
    public static ImmutableArray<string> All { get; } = ["raw", "cow", "qcow2"];

    /// <summary>The name of a format.</summary>
    /// <param name="format">The format.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such format.</exception>
    public static string Get(DiskImageFormat format) => (uint)format < All.Length ? All[(int)format] : throw DiskImage.Unknown(format);

    /// <summary>Finds a format by its name.</summary>
    /// <param name="name">The name, in small letters.</param>
    /// <param name="format">The format.</param>
    /// <returns>Whether there is one of that name.</returns>
    public static bool TryParse(string? name, out DiskImageFormat format)
    {
        for (int i = 0; i < All.Length; i++)
        {
            if (All[i] == name)
            {
                format = (DiskImageFormat)i;
                return true;
            }
        }

        format = default;
        return false;
    }
}
