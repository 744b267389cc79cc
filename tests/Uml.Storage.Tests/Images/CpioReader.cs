using System.Globalization;
using System.Text;

namespace Uml.Storage.Tests.Images;

internal sealed record CpioEntry(
    string Name, uint Inode, uint Mode, uint UserId, uint GroupId, uint ModificationTime, uint Major, uint Minor, byte[] Data)
{
    public string Text => Encoding.UTF8.GetString(Data);
}

/// <summary>Reads back what InitramfsBuilder writes, independently of it and as strictly as the kernel does.</summary>
internal static class CpioReader
{
    public static List<CpioEntry> Read(ReadOnlySpan<byte> archive)
    {
        List<CpioEntry> entries = [];
        int position = 0;
        while (true)
        {
            Assert.That(position % 4, Is.Zero);
            ReadOnlySpan<byte> header = archive.Slice(position, 110);
            Assert.That(Encoding.ASCII.GetString(header[..6]), Is.EqualTo("070701"));
            uint[] fields = new uint[13];
            for (int i = 0; i < fields.Length; i++)
            {
                fields[i] = uint.Parse(Encoding.ASCII.GetString(header.Slice(6 + (i * 8), 8)), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            }

            int nameBytes = (int)fields[11];
            string name = Encoding.UTF8.GetString(archive.Slice(position + 110, nameBytes - 1));
            Assert.That(archive[position + 110 + nameBytes - 1], Is.Zero);
            position = (position + 110 + nameBytes + 3) & ~3;
            byte[] data = archive.Slice(position, (int)fields[6]).ToArray();
            position = (position + data.Length + 3) & ~3;
            if (name == "TRAILER!!!")
            {
                Assert.That(position, Is.EqualTo(archive.Length));
                return entries;
            }

            entries.Add(new CpioEntry(name, fields[0], fields[1], fields[2], fields[3], fields[5], fields[9], fields[10], data));
        }
    }
}
