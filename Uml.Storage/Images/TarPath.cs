using System.Text;
using Uml.Storage.Interop;

namespace Uml.Storage.Images;

/// <summary>Paths of entries in tar archives. None leads out of where the archive is unpacked.</summary>
internal static class TarPath
{
    private const int ShownBytes = 64;

    /// <summary>Checks a path.</summary>
    /// <returns>The path without '/' at its ends.</returns>
    /// <exception cref="ImageContentException">It has "..", a zero byte, or more bytes than a path can have.</exception>
    public static ReadOnlySpan<byte> Check(ReadOnlySpan<byte> path, string archive)
    {
        ReadOnlySpan<byte> trimmed = path.Trim((byte)'/');
        if (path.Length > Limits.PathBytes || path.Contains((byte)0) || HasParent(trimmed))
        {
            throw new ImageContentException(
                $"The archive '{archive}' has the entry '{Encoding.UTF8.GetString(path[..Math.Min(path.Length, ShownBytes)])}' of {path.Length} bytes, which leads outside, or is "
                + "no path; it is hostile or damaged: do not use it.");
        }

        return trimmed;
    }

    /// <summary>Makes a path comparable: no leading "./" or "/", no empty or "." parts.</summary>
    /// <exception cref="ImageContentException">As of <see cref="Check"/>.</exception>
    public static string Normalize(string path, string archive)
    {
        Check(Encoding.UTF8.GetBytes(path), archive);
        return string.Join('/', path.Split('/').Where(part => part is not ("" or ".")));
    }

    private static bool HasParent(ReadOnlySpan<byte> path)
    {
        foreach (Range part in path.Split((byte)'/'))
        {
            if (path[part].SequenceEqual(".."u8))
            {
                return true;
            }
        }

        return false;
    }
}
