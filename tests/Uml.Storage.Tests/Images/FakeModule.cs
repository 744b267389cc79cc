using System.Buffers.Binary;
using System.Text;

namespace Uml.Storage.Tests.Images;

/// <summary>Makes the smallest ELF file that passes for a kernel module.</summary>
internal static class FakeModule
{
    public static byte[] Create(params string[] info)
    {
        byte[] names = Encoding.ASCII.GetBytes("\0.modinfo\0.shstrtab\0");
        byte[] modInfo = Encoding.ASCII.GetBytes(string.Concat(info.Select(line => line + "\0")));
        int table = 64 + names.Length + modInfo.Length;
        byte[] file = new byte[table + (3 * 64)];
        new byte[] { 0x7f, (byte)'E', (byte)'L', (byte)'F', 2, 1, 1 }.CopyTo(file, 0);
        BinaryPrimitives.WriteUInt64LittleEndian(file.AsSpan(40), (ulong)table);
        BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(58), 64);
        BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(60), 3);
        BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(62), 2);
        names.CopyTo(file, 64);
        modInfo.CopyTo(file, 64 + names.Length);
        WriteSection(file.AsSpan(table + 64), 1, 64 + names.Length, modInfo.Length);
        WriteSection(file.AsSpan(table + 128), 10, 64, names.Length);
        return file;
    }

    private static void WriteSection(Span<byte> header, uint name, int offset, int size)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(header, name);
        BinaryPrimitives.WriteUInt64LittleEndian(header[24..], (ulong)offset);
        BinaryPrimitives.WriteUInt64LittleEndian(header[32..], (ulong)size);
    }
}
