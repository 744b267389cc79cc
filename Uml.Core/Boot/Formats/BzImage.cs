using System.Buffers.Binary;
using Uml.Core.Boot.Payload;

namespace Uml.Core.Boot.Formats;

/// <summary>A Linux bzImage: the setup header and the compressed vmlinux (Documentation/arch/x86/boot.rst).</summary>
internal sealed class BzImage
{
    /// <summary>Where the setup header starts, in the file as in boot_params.</summary>
    public const int SetupHeaderOffset = 0x1f1;

    private const int BootFlagOffset = 0x1fe;
    private const int SystemSizeOffset = 0x1f4;
    private const int JumpOffset = 0x200;
    private const int MagicOffset = 0x202;
    private const int VersionOffset = 0x206;
    private const int LoadFlagsOffset = 0x211;
    private const int Code32StartOffset = 0x214;
    private const int InitrdAddressMaximumOffset = 0x22c;
    private const int KernelAlignmentOffset = 0x230;
    private const int RelocatableOffset = 0x234;
    private const int XLoadFlagsOffset = 0x236;
    private const int CommandLineSizeOffset = 0x238;
    private const int PayloadOffsetOffset = 0x248;
    private const int PayloadLengthOffset = 0x24c;
    private const int PreferredAddressOffset = 0x258;
    private const int InitSizeOffset = 0x260;

    private const ushort BootFlag = 0xaa55;
    private const uint Magic = 0x53726448; // "HdrS"
    private const byte LoadedHigh = 1 << 0; // loadflags
    private const ushort Kernel64 = 1 << 0; // xloadflags, XLF_KERNEL_64

    // The first with cmd_line_ptr: Linux 2.4.0-test3.
    private const ushort LeastVersion = 0x202;

    // Defaults for older headers, which lack these fields (boot.rst on initrd_addr_max and cmdline_size).
    private const uint OldInitrdAddressMaximum = 0x37ff_ffff, OldCommandLineSize = 255;

    // The offset of the 64-bit entry from the 32-bit one, which is the start of the protected-mode code.
    private const uint Entry64Offset = 0x200;

    private readonly ReadOnlyMemory<byte> _file;
    private readonly string _name;

    private BzImage(ReadOnlyMemory<byte> file, int headerEnd, string name)
    {
        _file = file;
        _name = name;
        SetupHeader = file[SetupHeaderOffset..headerEnd];
        Version = Field16(VersionOffset, 0);
        IsRelocatable = Field8(RelocatableOffset, 0x205) != 0;
        KernelAlignment = Field32(KernelAlignmentOffset, 0x205);
        InitrdAddressMaximum = Version >= 0x203 ? Field32(InitrdAddressMaximumOffset, 0x203) : OldInitrdAddressMaximum;
        CommandLineSize = Version >= 0x206 ? Field32(CommandLineSizeOffset, 0x206) : OldCommandLineSize;
        PreferredAddress = Field32(PreferredAddressOffset, 0x20a) | ((ulong)Field32(PreferredAddressOffset + 4, 0x20a) << 32);
        InitSize = Field32(InitSizeOffset, 0x20a);
        HasEntry64 = (Field16(XLoadFlagsOffset, 0x20c) & Kernel64) != 0;
        LoadAddress = Field32(Code32StartOffset, 0);
    }

    /// <summary>The setup header as the file has it, from offset 0x1f1.</summary>
    public ReadOnlyMemory<byte> SetupHeader { get; }

    /// <summary>The boot protocol, 0x20f for 2.15.</summary>
    public ushort Version { get; }

    /// <summary>The highest address that the last byte of the initrd may have.</summary>
    public uint InitrdAddressMaximum { get; }

    /// <summary>The multiple of bytes at which the kernel can be loaded, if it can be moved.</summary>
    public uint KernelAlignment { get; }

    /// <summary>Whether the kernel runs at other addresses than the preferred one.</summary>
    public bool IsRelocatable { get; }

    /// <summary>The longest command line, without the zero byte.</summary>
    public uint CommandLineSize { get; }

    /// <summary>Where the kernel runs unless it is loaded elsewhere and can be moved; 0 if the header does not say.</summary>
    public ulong PreferredAddress { get; }

    /// <summary>The memory that the kernel needs while it unpacks itself, from the address where it runs; 0 if the header does not say.</summary>
    public uint InitSize { get; }

    /// <summary>Whether the protected-mode code has a 64-bit entry too.</summary>
    public bool HasEntry64 { get; }

    /// <summary>Where the protected-mode code is loaded if it cannot be moved (code32_start).</summary>
    public uint LoadAddress { get; }

    /// <summary>The code that a boot loader places in memory, with the compressed kernel in it; its 32-bit entry is its first byte.</summary>
    /// <exception cref="KernelImageException">The file ends before it should.</exception>
    public ReadOnlyMemory<byte> ProtectedModeCode
    {
        get
        {
            // syssize counts 16 bytes; a signature may follow. Before 2.04 it has 16 bits only and cannot be relied on (boot.rst).
            ulong length = Field32(SystemSizeOffset, 0x204) * 16UL;
            int start = Math.Min(ProtectedModeStart, _file.Length);
            if (length == 0)
            {
                return _file[start..];
            }

            if (length > (ulong)(_file.Length - start) + 15)
            {
                throw Truncated((ulong)start + length, "its code");
            }

            return _file[start..(int)Math.Min((ulong)_file.Length, (ulong)start + length)];
        }
    }

    /// <summary>Whether <see cref="UnpackVmlinux"/> knows how: there is a compressed part, in a known format.</summary>
    /// <exception cref="KernelImageException">It lies outside the file.</exception>
    public bool HasKnownPayload => KernelPayload.Detect(Payload.Span) != CompressionFormat.None;

    // Behind the setup sectors, of which 0 means 4.
    private int ProtectedModeStart => ((_file.Span[SetupHeaderOffset] == 0 ? 4 : _file.Span[SetupHeaderOffset]) + 1) * 512;

    // payload_offset counts from the protected-mode code.
    private ReadOnlyMemory<byte> Payload
    {
        get
        {
            ulong start = (ulong)ProtectedModeStart + Field32(PayloadOffsetOffset, 0x208);
            ulong length = Field32(PayloadLengthOffset, 0x208);
            return start <= (ulong)_file.Length && length <= (ulong)_file.Length - start
                ? _file.Slice((int)start, (int)length)
                : throw Truncated(start + length, "its compressed part");
        }
    }

    /// <summary>Whether a file is a bzImage (or its ancestor zImage).</summary>
    public static bool IsBzImage(ReadOnlySpan<byte> file) =>
        file.Length >= VersionOffset
        && BinaryPrimitives.ReadUInt16LittleEndian(file[BootFlagOffset..]) == BootFlag
        && BinaryPrimitives.ReadUInt32LittleEndian(file[MagicOffset..]) == Magic;

    /// <summary>Reads the setup header.</summary>
    /// <param name="file">The whole file.</param>
    /// <param name="name">What messages call the file.</param>
    /// <returns>The image.</returns>
    /// <exception cref="KernelImageException">Truncated, or too old.</exception>
    public static BzImage Parse(ReadOnlyMemory<byte> file, string name)
    {
        // The header ends where the jump over it leads to: 0x202 plus the byte at 0x201.
        int end = file.Length > JumpOffset + 1 ? MagicOffset + file.Span[JumpOffset + 1] : int.MaxValue;
        if (end > file.Length)
        {
            throw new KernelImageException(
                $"The kernel '{name}' is cut off inside its setup header ({file.Length} bytes); copy the file again.");
        }

        BzImage image = new(file, end, name);
        if (image.Version < LeastVersion || (image.Field8(LoadFlagsOffset, 0) & LoadedHigh) == 0)
        {
            throw new KernelImageException(
                $"The kernel '{name}' has boot protocol {image.DescribeVersion()}{(image.Version < LeastVersion ? "" : " and is loaded below 1 MiB (zImage)")}; "
                + "bzImages from 2.02 (Linux 2.4) on are supported. Use a newer kernel.");
        }

        return image;
    }

    /// <summary>The distance of an entry from the first byte of the protected-mode code.</summary>
    /// <param name="is64Bit">The 64-bit entry.</param>
    /// <exception cref="KernelImageException">There is no such entry.</exception>
    public uint EntryOffset(bool is64Bit)
    {
        if (is64Bit && !HasEntry64)
        {
            throw new KernelImageException(
                $"The kernel '{_name}' (boot protocol {DescribeVersion()}) has no 64-bit entry: it is a 32-bit kernel or older than Linux 3.8. "
                + $"Use an x86-64 kernel, or {nameof(BootProtocol)}.{nameof(BootProtocol.BzImage32)}.");
        }

        return is64Bit ? Entry64Offset : 0;
    }

    /// <summary>Unpacks the vmlinux on the host, which spares the guest the time.</summary>
    /// <param name="maximumBytes">The most bytes that may come out.</param>
    /// <param name="cancellationToken">Ends the work.</param>
    /// <returns>The ELF file; relocation data follows it.</returns>
    /// <exception cref="KernelImageException">The payload lies outside the file or is damaged.</exception>
    public ReadOnlyMemory<byte> UnpackVmlinux(int maximumBytes, CancellationToken cancellationToken)
    {
        // The kernel's own decompressor unpacks within init_size (arch/x86/boot/header.S, ZO_INIT_SIZE).
        ReadOnlyMemory<byte> payload = Payload;
        if (Version >= 0x20a && payload.Length >= sizeof(uint) && KernelPayload.StatedSize(payload.Span) > InitSize)
        {
            throw new KernelImageException(
                $"The kernel '{_name}' contradicts itself: it unpacks to {KernelPayload.StatedSize(payload.Span)} bytes in {InitSize} bytes of "
                + "memory (init_size); the file is damaged: copy it again.");
        }

        return KernelPayload.UnpackBzImagePayload(payload, maximumBytes, _name, cancellationToken);
    }

    private string DescribeVersion() => $"{Version >> 8}.{Version & 0xff:00}";

    private KernelImageException Truncated(ulong end, string what) => new(
        $"The kernel '{_name}' is truncated: {what} should end at byte {end}, the file has {_file.Length} bytes; copy the file again.");

    // Fields that the header is too short for, or that its protocol does not have yet, are zero.
    private byte Field8(int offset, ushort since) => Has(offset, sizeof(byte), since) ? _file.Span[offset] : (byte)0;

    private ushort Field16(int offset, ushort since) =>
        Has(offset, sizeof(ushort), since) ? BinaryPrimitives.ReadUInt16LittleEndian(_file.Span[offset..]) : (ushort)0;

    private uint Field32(int offset, ushort since) =>
        Has(offset, sizeof(uint), since) ? BinaryPrimitives.ReadUInt32LittleEndian(_file.Span[offset..]) : 0;

    private bool Has(int offset, int size, ushort since) => Version >= since && offset + size <= SetupHeaderOffset + SetupHeader.Length;
}
