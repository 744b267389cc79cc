using System.Globalization;
using System.Text;

namespace Uml.Storage.Images;

/// <summary>One member of an ar archive.</summary>
/// <param name="Name">Its name, without padding.</param>
/// <param name="Offset">Where its contents start in the file.</param>
/// <param name="Length">The number of bytes.</param>
internal readonly record struct ArMember(string Name, long Offset, long Length);

/// <summary>Lists the members of an ar archive as Debian packages use it (deb(5)): short names, no index.</summary>
internal static class ArArchive
{
    private const int HeaderBytes = 60;

    // A package has three members, some have a signature; a limit of ours.
    private const int MaximumMembers = 64;

    /// <summary>Lists all members.</summary>
    /// <param name="stream">The archive, seekable.</param>
    /// <param name="name">What messages call it.</param>
    /// <returns>The members in order.</returns>
    /// <exception cref="ImageContentException">Not an ar archive, or cut off.</exception>
    public static List<ArMember> ReadMembers(Stream stream, string name)
    {
        Span<byte> magic = stackalloc byte[8];
        stream.Position = 0;
        if (stream.ReadAtLeast(magic, magic.Length, throwOnEndOfStream: false) < magic.Length || !magic.SequenceEqual("!<arch>\n"u8))
        {
            throw new ImageContentException(
                $"'{name}' is not a Debian package: it starts with {Convert.ToHexString(magic)} and not with '!<arch>'.");
        }

        List<ArMember> members = [];
        Span<byte> header = stackalloc byte[HeaderBytes];
        while (stream.Position < stream.Length)
        {
            if (members.Count == MaximumMembers
                || stream.ReadAtLeast(header, HeaderBytes, throwOnEndOfStream: false) < HeaderBytes
                || !header[58..].SequenceEqual("`\n"u8)
                || !long.TryParse(header[48..58].TrimEnd((byte)' '), NumberStyles.None, CultureInfo.InvariantCulture, out long length)
                || length > stream.Length - stream.Position)
            {
                throw new ImageContentException(
                    $"The package '{name}' is damaged or cut off in member {members.Count} ({stream.Length} bytes); download it again.");
            }

            members.Add(new ArMember(Encoding.ASCII.GetString(header[..16]).TrimEnd(' ').TrimEnd('/'), stream.Position, length));

            // Members start at even offsets; the last one may lack its padding.
            stream.Position = Math.Min(stream.Position + length + (length & 1), stream.Length);
        }

        return members;
    }
}
