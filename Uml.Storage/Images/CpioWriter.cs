using System.Text;

namespace Uml.Storage.Images;

/// <summary>
/// Writes "newc" cpio entries (Linux Documentation/driver-api/early-userspace/buffer-format.rst):
/// a header of 110 hexadecimal characters, the name, the data, each padded to a multiple of four bytes.
/// </summary>
internal sealed class CpioWriter(Stream output)
{
    /// <summary>The name of the entry that ends an archive.</summary>
    public const string TrailerName = "TRAILER!!!";

    private const int HeaderBytes = 110;
    private const int FieldBytes = 8;

    private uint _nextInode = 1;
    private long _position;

    /// <summary>Writes an entry with data at hand.</summary>
    public void Write(in CpioHeader header, ReadOnlySpan<byte> data)
    {
        WriteHeader(header, (uint)data.Length);
        output.Write(data);
        _position += data.Length;
        Pad();
    }

    /// <summary>Writes an entry whose data is a host file.</summary>
    /// <exception cref="IOException">The file changed its size while it was read.</exception>
    public void Write(in CpioHeader header, FileStream file)
    {
        uint length = (uint)file.Length;
        WriteHeader(header, length);
        using (BoundedStream window = new(file, length, onExceeded: null, leaveOpen: true))
        {
            window.CopyTo(output);
        }

        if (file.Position != length)
        {
            throw new IOException($"'{file.Name}' became shorter while it was read.");
        }

        _position += length;
        Pad();
    }

    /// <summary>Writes the entry that ends an archive.</summary>
    public void WriteTrailer() => Write(new CpioHeader(TrailerName, 0, default, 0, 0, 0), []);

    private void WriteHeader(in CpioHeader header, uint length)
    {
        int nameBytes = Encoding.UTF8.GetByteCount(header.Name) + 1;
        Span<byte> buffer = new byte[HeaderBytes + nameBytes];
        "070701"u8.CopyTo(buffer);
        bool isTrailer = header.Mode == 0;
        Span<uint> fields =
        [
            isTrailer ? 0 : _nextInode++,
            header.Mode,
            header.Attributes.UserId,
            header.Attributes.GroupId,
            1, // nlink: hard links are not written
            header.ModificationTime,
            length,
            0, // devmajor and devminor of the file system that the files were on
            0,
            header.DeviceMajor,
            header.DeviceMinor,
            (uint)nameBytes,
            0, // check: only for "070702"
        ];
        for (int i = 0; i < fields.Length; i++)
        {
            fields[i].TryFormat(buffer.Slice(6 + (i * FieldBytes), FieldBytes), out _, "x8");
        }

        Encoding.UTF8.GetBytes(header.Name, buffer[HeaderBytes..]);
        output.Write(buffer);
        _position += buffer.Length;
        Pad();
    }

    private void Pad()
    {
        int padding = (int)(-_position & 3);
        output.Write("\0\0\0"u8[..padding]);
        _position += padding;
    }
}

/// <summary>The fields of a cpio header that differ between entries.</summary>
/// <param name="Name">The path without a leading slash.</param>
/// <param name="Mode">File type and permission bits.</param>
/// <param name="Attributes">Owner and group.</param>
/// <param name="ModificationTime">Seconds since 1970.</param>
/// <param name="DeviceMajor">The major number of a device node.</param>
/// <param name="DeviceMinor">The minor number of a device node.</param>
internal readonly record struct CpioHeader(
    string Name, uint Mode, InitramfsAttributes Attributes, uint ModificationTime, uint DeviceMajor, uint DeviceMinor);
