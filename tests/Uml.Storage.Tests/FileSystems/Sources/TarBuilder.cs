using System.Formats.Tar;
using System.Text;

namespace Uml.Storage.Tests.FileSystems.Sources;

/// <summary>Makes tar archives, and breaks them.</summary>
internal sealed class TarBuilder
{
    private readonly MemoryStream _stream = new();

    public TarBuilder File(string path, string text, UnixFileMode mode = (UnixFileMode)0x1A4) =>
        Add(new PaxTarEntry(TarEntryType.RegularFile, path) { DataStream = new MemoryStream(Encoding.UTF8.GetBytes(text)), Mode = mode });

    public TarBuilder Directory(string path) => Add(new PaxTarEntry(TarEntryType.Directory, path) { Mode = (UnixFileMode)0x1ED });

    public TarBuilder Link(string path, string target) => Add(new PaxTarEntry(TarEntryType.SymbolicLink, path) { LinkName = target });

    public TarBuilder HardLink(string path, string target) => Add(new PaxTarEntry(TarEntryType.HardLink, path) { LinkName = target });

    public TarBuilder Add(TarEntry entry)
    {
        entry.ModificationTime = DateTimeOffset.FromUnixTimeSeconds(1_600_000_000);
        using MemoryStream one = new();
        using (TarWriter writer = new(one, TarEntryFormat.Pax, leaveOpen: true))
        {
            writer.WriteEntry(entry);
        }

        // Without the two blocks of zeroes at the end.
        _stream.Write(one.GetBuffer(), 0, (int)one.Length - 1024);
        return this;
    }

    /// <summary>A header of the format before POSIX's, with any bytes.</summary>
    public TarBuilder Raw(char type, ReadOnlySpan<byte> name, ReadOnlySpan<byte> data, string target = "", string size = "")
    {
        byte[] header = new byte[512];
        name.CopyTo(header);
        Encoding.ASCII.GetBytes("0000644\00000000\00000000\0").CopyTo(header, 100);
        Encoding.ASCII.GetBytes(size.Length > 0 ? size : Convert.ToString(data.Length, 8).PadLeft(11, '0')).CopyTo(header, 124);
        Encoding.ASCII.GetBytes("00000000000").CopyTo(header, 136);
        header[156] = (byte)type;
        Encoding.ASCII.GetBytes(target).CopyTo(header, 157);
        header.AsSpan(148, 8).Fill((byte)' ');
        Encoding.ASCII.GetBytes(Convert.ToString(header.Sum(value => value), 8).PadLeft(6, '0') + "\0 ").CopyTo(header, 148);
        _stream.Write(header);
        _stream.Write(data);
        _stream.Write(new byte[(512 - (data.Length % 512)) % 512]);
        return this;
    }

    public byte[] Build() => [.. _stream.ToArray(), .. new byte[1024]];
}
