using System.Buffers.Binary;
using Uml.Core.Boot;

namespace Uml.Core.Tests.Boot;

internal sealed record TestSegment(ulong PhysicalAddress, byte[] Data, ulong MemorySize, ulong VirtualAddress = 0);

/// <summary>Makes small kernels.</summary>
internal static class TestImages
{
    public const ulong KernelAddress = 0x200000;
    public const uint PvhEntry = 0x200040;

    /// <summary>An ELF64 vmlinux of 8 KiB at 2 MiB with 4 KiB of zeros behind, and a PVH note.</summary>
    public static byte[] Vmlinux(ulong address = KernelAddress, ulong memory = 0x3000, bool pvh = true) =>
        Elf(true, address, pvh ? PvhEntry : null, new TestSegment(address, Code(0x2000), memory, address + 0xffffffff80000000));

    public static byte[] Elf(bool is64, ulong entry, uint? pvhEntry, params TestSegment[] segments)
    {
        int headerBytes = is64 ? 64 : 52;
        int entryBytes = is64 ? 56 : 32;
        int count = segments.Length + (pvhEntry is null ? 0 : 1);
        int tableEnd = headerBytes + (count * entryBytes);
        using MemoryStream file = new();
        file.Write(new byte[tableEnd]);
        byte[] note = Note(pvhEntry ?? 0);
        byte[] table = new byte[count * entryBytes];
        for (int i = 0; i < count; i++)
        {
            TestSegment? segment = i < segments.Length ? segments[i] : null;
            byte[] data = segment?.Data ?? note;
            WriteProgramHeader(
                table.AsSpan(i * entryBytes), is64, segment is null ? 4u : 1u, (ulong)file.Length, segment ?? new TestSegment(0, note, (ulong)note.Length));
            file.Write(data);
        }

        byte[] bytes = file.ToArray();
        table.CopyTo(bytes, headerBytes);
        new byte[] { 0x7f, (byte)'E', (byte)'L', (byte)'F', (byte)(is64 ? 2 : 1), 1, 1 }.CopyTo(bytes, 0);
        Put16(bytes, 16, 2);
        Put16(bytes, 18, (ushort)(is64 ? 62 : 3));
        PutWord(bytes, is64, 24, entry);
        PutWord(bytes, is64, is64 ? 32 : 28, (ulong)headerBytes);
        Put16(bytes, is64 ? 54 : 42, (ushort)entryBytes);
        Put16(bytes, is64 ? 56 : 44, (ushort)count);
        return bytes;
    }

    /// <summary>A bzImage of protocol 2.15 around a vmlinux.</summary>
    public static byte[] BzImage(byte[] vmlinux, ulong address = KernelAddress, string format = "Lz4", uint initrdMaximum = 0x7fffffff)
    {
        byte[] packed = format == "Gzip" ? TestPayloads.Gzip(vmlinux) : TestPayloads.Lz4(vmlinux);
        byte[] payload = TestPayloads.WithSize(format, packed, vmlinux.Length);
        byte[] file = new byte[1024 + 64 + payload.Length + 32];
        payload.CopyTo(file, 1024 + 64);
        file[0x1f1] = 1;
        Put16(file, 0x1fe, 0xaa55);
        file[0x200] = 0xeb;
        file[0x201] = 0x6a;
        "HdrS"u8.CopyTo(file.AsSpan(0x202));
        Put16(file, 0x206, 0x20f);
        file[0x211] = 1;
        Put32(file, 0x22c, initrdMaximum);
        Put32(file, 0x230, 0x200000);
        file[0x234] = 1;
        Put16(file, 0x236, 0x7f);
        Put32(file, 0x238, 255);
        Put32(file, 0x248, 64);
        Put32(file, 0x24c, (uint)payload.Length);
        BinaryPrimitives.WriteUInt64LittleEndian(file.AsSpan(0x258), address);
        Put32(file, 0x260, 0x400000);
        return file;
    }

    /// <summary>An ELF32 kernel with a multiboot header, or a flat one with load addresses in the header.</summary>
    public static byte[] Multiboot(bool elf, uint address = 0x100000, uint flags = 3)
    {
        byte[] code = Code(0x1000);
        flags |= elf ? 0 : 0x10000u;
        Put32(code, 0, 0x1badb002);
        Put32(code, 4, flags);
        Put32(code, 8, unchecked(0u - 0x1badb002u - flags));
        Put32(code, 12, address);
        Put32(code, 16, address);
        Put32(code, 20, address + 0x800);
        Put32(code, 24, address + 0x2000);
        Put32(code, 28, address + 0x40);
        return elf ? Elf(false, address + 0x40, null, new TestSegment(address, code, 0x2000, address)) : code;
    }

    public static byte[] Code(int length)
    {
        byte[] code = new byte[length];
        new Random(length).NextBytes(code);
        return code;
    }

    public static BootRequest Request(byte[] kernel, BootProtocol protocol = BootProtocol.Auto, uint megabytes = 8) => new()
    {
        Kernel = BootFile.FromBytes(kernel, "test"),
        Protocol = protocol,
        CommandLine = "console=ttyS0",
        MemoryMap = BootMemoryLayout.CreateMemoryMap(megabytes << 20),
        AcpiRsdpAddress = 0xe0000,
    };

    public static void Put16(byte[] bytes, int offset, ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(offset), value);

    public static void Put32(byte[] bytes, int offset, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(offset), value);

    private static byte[] Note(uint entry)
    {
        // Another note first, so that the search has to step over it.
        byte[] note = new byte[24 + 24];
        Put32(note, 0, 4);
        Put32(note, 4, 5);
        Put32(note, 8, 1);
        "GNU\0"u8.CopyTo(note.AsSpan(12));
        Put32(note, 24, 4);
        Put32(note, 28, 8);
        Put32(note, 32, 18);
        "Xen\0"u8.CopyTo(note.AsSpan(36));
        Put32(note, 40, entry);
        return note;
    }

    private static void WriteProgramHeader(Span<byte> header, bool is64, uint type, ulong offset, TestSegment segment)
    {
        byte[] bytes = new byte[is64 ? 56 : 32];
        Put32(bytes, 0, type);
        PutWord(bytes, is64, is64 ? 8 : 4, offset);
        PutWord(bytes, is64, is64 ? 16 : 8, segment.VirtualAddress);
        PutWord(bytes, is64, is64 ? 24 : 12, segment.PhysicalAddress);
        PutWord(bytes, is64, is64 ? 32 : 16, (ulong)segment.Data.Length);
        PutWord(bytes, is64, is64 ? 40 : 20, segment.MemorySize);
        bytes.CopyTo(header);
    }

    private static void PutWord(byte[] bytes, bool is64, int offset, ulong value)
    {
        if (is64)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(offset), value);
        }
        else
        {
            Put32(bytes, offset, (uint)value);
        }
    }
}
