using System.Formats.Tar;
using System.IO.Compression;
using System.Text;
using ZstdSharp;

namespace Uml.Storage.Tests.Images;

/// <summary>Makes Debian packages.</summary>
internal static class FakePackage
{
    // data.tar.xz of one file "./hello" with the text "hello\n", made by `tar --format=ustar --owner=0 --group=0 --mtime=@0 | xz`.
    public const string XzTar =
        "/Td6WFoAAATm1rRGAgAhARwAAAAQz1jM4Cf/AGpdABcLyYcSAqi7Qh1rzIStJluLu8gsmuHbbScJevb3StQYw6F7hE6fuu99Se0uAFRv178Br/"
        + "e8nttFEsnKcW3E/eoDbIykkKfzXrLZaullHMCbUfJFWRf4D6CxpgZKuGCMVPTKe/g1A8uXlAAAAACNwGpelCEnJwABhgGAUAAAI5I5t7HEZ/sCAAAAAARZWg==";

    public static byte[] Create(string compression, params TarEntry[] entries)
    {
        using MemoryStream ar = new();
        ar.Write("!<arch>\n"u8);
        AddMember(ar, "debian-binary", "2.0\n"u8.ToArray());
        AddMember(ar, "control.tar", Tar(File("./control", "Package: test\nVersion: 1:2.3-4\nDescription: short\n long text\n")));
        AddMember(ar, "data.tar" + compression, Compress(compression, Tar(entries)));
        return ar.ToArray();
    }

    public static TarEntry File(string name, string contents, int mode = 0x1a4) =>
        new UstarTarEntry(TarEntryType.RegularFile, name)
        {
            Mode = (UnixFileMode)mode,
            DataStream = new MemoryStream(Encoding.UTF8.GetBytes(contents)),
        };

    public static TarEntry Link(TarEntryType type, string name, string target) =>
        new UstarTarEntry(type, name) { LinkName = target };

    public static TarEntry Folder(string name) => new UstarTarEntry(TarEntryType.Directory, name) { Mode = (UnixFileMode)0x1ed };

    public static byte[] Tar(params TarEntry[] entries)
    {
        using MemoryStream stream = new();
        using (TarWriter writer = new(stream, leaveOpen: true))
        {
            foreach (TarEntry entry in entries)
            {
                writer.WriteEntry(entry);
            }
        }

        return stream.ToArray();
    }

    public static void AddMember(Stream ar, string name, ReadOnlySpan<byte> contents)
    {
        ar.Write(Encoding.ASCII.GetBytes($"{name,-16}{0,-12}{0,-6}{0,-6}{100644,-8}{contents.Length,-10}`\n"));
        ar.Write(contents);
        if (contents.Length % 2 == 1)
        {
            ar.WriteByte((byte)'\n');
        }
    }

    public static byte[] Compress(string compression, byte[] data)
    {
        using MemoryStream packed = new();
        using (Stream stream = compression switch
        {
            ".gz" => new GZipStream(packed, CompressionLevel.Fastest, leaveOpen: true),
            ".zst" => new CompressionStream(packed, leaveOpen: true),
            "" => new BufferedStream(packed),
            _ => throw new ArgumentException(compression),
        })
        {
            stream.Write(data);
            stream.Flush();
            if (compression.Length == 0)
            {
                return packed.ToArray();
            }
        }

        return packed.ToArray();
    }
}
