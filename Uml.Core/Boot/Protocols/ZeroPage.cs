using System.Buffers.Binary;
using Uml.Core.Boot.Formats;

namespace Uml.Core.Boot.Protocols;

/// <summary>
/// Linux's boot_params (Documentation/arch/x86/zero-page.rst; arch/x86/include/uapi/asm/bootparam.h).
/// screen_info and everything that a BIOS would have left stay zero.
/// </summary>
internal sealed class ZeroPage
{
    /// <summary>E820_MAX_ENTRIES_ZEROPAGE.</summary>
    public const int MaximumE820Entries = 128;

    private const int AcpiRsdpOffset = 0x070;
    private const int ExtRamDiskImageOffset = 0x0c0;
    private const int ExtRamDiskSizeOffset = 0x0c4;
    private const int E820CountOffset = 0x1e8;
    private const int BootFlagOffset = 0x1fe;
    private const int MagicOffset = 0x202;
    private const int VersionOffset = 0x206;
    private const int TypeOfLoaderOffset = 0x210;
    private const int LoadFlagsOffset = 0x211;
    private const int Code32StartOffset = 0x214;
    private const int RamDiskImageOffset = 0x218;
    private const int RamDiskSizeOffset = 0x21c;
    private const int CommandLinePointerOffset = 0x228;
    private const int CommandLineSizeOffset = 0x238;
    private const int E820TableOffset = 0x2d0;
    private const int E820EntryBytes = 20;

    private const byte LoaderUndefined = 0xff;
    private const byte LoadedHigh = 1 << 0;

    // The protocol version for a vmlinux, which has no setup header: 2.15.
    private const ushort AssumedVersion = 0x20f;

    private readonly byte[] _page = new byte[BootMemoryLayout.PageBytes];

    /// <summary>Starts with the kernel's own setup header.</summary>
    /// <param name="setupHeader">The header from offset 0x1f1; empty for a plain vmlinux.</param>
    /// <param name="commandLineSize">The longest command line.</param>
    public ZeroPage(ReadOnlySpan<byte> setupHeader, uint commandLineSize)
    {
        if (setupHeader.IsEmpty)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(_page.AsSpan(BootFlagOffset), 0xaa55);
            "HdrS"u8.CopyTo(_page.AsSpan(MagicOffset));
            BinaryPrimitives.WriteUInt16LittleEndian(_page.AsSpan(VersionOffset), AssumedVersion);
            BinaryPrimitives.WriteUInt32LittleEndian(_page.AsSpan(CommandLineSizeOffset), commandLineSize);
            _page[LoadFlagsOffset] = LoadedHigh;
        }
        else
        {
            // boot_params has room for the header up to 0x290, where other fields begin.
            setupHeader[..Math.Min(setupHeader.Length, 0x290 - BzImage.SetupHeaderOffset)].CopyTo(_page.AsSpan(BzImage.SetupHeaderOffset));
        }

        _page[TypeOfLoaderOffset] = LoaderUndefined;
    }

    /// <summary>The finished page.</summary>
    public ReadOnlySpan<byte> Bytes => _page;

    /// <summary>Sets code32_start, which boot loaders that move a kernel have to.</summary>
    public void SetCode32Start(uint address) => BinaryPrimitives.WriteUInt32LittleEndian(_page.AsSpan(Code32StartOffset), address);

    /// <summary>Sets cmd_line_ptr.</summary>
    public void SetCommandLine(uint address) =>
        BinaryPrimitives.WriteUInt32LittleEndian(_page.AsSpan(CommandLinePointerOffset), address);

    /// <summary>Sets acpi_rsdp_addr.</summary>
    public void SetAcpiRsdp(ulong address) => BinaryPrimitives.WriteUInt64LittleEndian(_page.AsSpan(AcpiRsdpOffset), address);

    /// <summary>Sets ramdisk_image and ramdisk_size with their high halves.</summary>
    public void SetRamDisk(ulong address, ulong length)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(_page.AsSpan(RamDiskImageOffset), (uint)address);
        BinaryPrimitives.WriteUInt32LittleEndian(_page.AsSpan(ExtRamDiskImageOffset), (uint)(address >> 32));
        BinaryPrimitives.WriteUInt32LittleEndian(_page.AsSpan(RamDiskSizeOffset), (uint)length);
        BinaryPrimitives.WriteUInt32LittleEndian(_page.AsSpan(ExtRamDiskSizeOffset), (uint)(length >> 32));
    }

    /// <summary>Sets the E820 table.</summary>
    /// <param name="map">At most 128 ranges.</param>
    public void SetMemoryMap(IReadOnlyList<MemoryMapEntry> map)
    {
        _page[E820CountOffset] = (byte)map.Count;
        for (int i = 0; i < map.Count; i++)
        {
            Span<byte> entry = _page.AsSpan(E820TableOffset + (i * E820EntryBytes), E820EntryBytes);
            BinaryPrimitives.WriteUInt64LittleEndian(entry, map[i].Base);
            BinaryPrimitives.WriteUInt64LittleEndian(entry[8..], map[i].Length);
            BinaryPrimitives.WriteUInt32LittleEndian(entry[16..], (uint)map[i].Type);
        }
    }
}
