using System.Buffers.Binary;
using Uml.Core.Boot.Payload;

namespace Uml.Core.Boot.Formats;

/// <summary>A Linux bzImage: the setup header and the compressed vmlinux (Documentation/arch/x86/boot.rst).</summary>
internal sealed class BzImage
{
    /// <summary>Where the setup header starts, in the file as in boot_params.</summary>
    public const int SetupHeaderOffset = 0x1f1;

    private const int BootFlagOffset = 0x1fe;
    private const int JumpOffset = 0x200;
    private const int MagicOffset = 0x202;
    private const int VersionOffset = 0x206;
    private const int LoadFlagsOffset = 0x211;
    private const int InitrdAddressMaximumOffset = 0x22c;
    private const int KernelAlignmentOffset = 0x230;
    private const int RelocatableOffset = 0x234;
    private const int XLoadFlagsOffset = 0x236;
    private const int CommandLineSizeOffset = 0x238;
    private const int PayloadOffsetOffset = 0x248;
    private const int PayloadLengthOffset = 0x24c;
    private const int InitSizeOffset = 0x260;

    private const ushort BootFlag = 0xaa55;
    private const uint Magic = 0x53726448; // "HdrS"
    private const byte LoadedHigh = 1 << 0; // loadflags
    private const ushort Kernel64 = 1 << 0; // xloadflags, XLF_KERNEL_64

    // 2.08 has payload_offset, 2.10 init_size, 2.12 xloadflags; 2.12 is Linux 3.8 of 2013.
    private const ushort LeastVersion = 0x20c;

    private readonly ReadOnlyMemory<byte> _file;
    private readonly string _name;

    private BzImage(ReadOnlyMemory<byte> file, string name)
    {
        _file = file;
        _name = name;
    }

    /// <summary>The setup header as the file has it, from offset 0x1f1.</summary>
    public ReadOnlyMemory<byte> SetupHeader { get; private init; }

    /// <summary>The boot protocol, 0x20f for 2.15.</summary>
    public ushort Version { get; private init; }

    /// <summary>The highest address that the last byte of the initrd may have.</summary>
    public uint InitrdAddressMaximum { get; private init; }

    /// <summary>The multiple of bytes at which the kernel can be loaded, if it can be moved.</summary>
    public uint KernelAlignment { get; private init; }

    /// <summary>Whether the kernel runs at other addresses than the preferred one.</summary>
    public bool IsRelocatable { get; private init; }

    /// <summary>The longest command line, without the zero byte.</summary>
    public uint CommandLineSize { get; private init; }

    /// <summary>The memory that the kernel needs while it unpacks itself, from its load address.</summary>
    public uint InitSize { get; private init; }

    /// <summary>Whether a file is a bzImage (or its ancestor zImage).</summary>
    public static bool IsBzImage(ReadOnlySpan<byte> file) =>
        file.Length >= VersionOffset
        && BinaryPrimitives.ReadUInt16LittleEndian(file[BootFlagOffset..]) == BootFlag
        && BinaryPrimitives.ReadUInt32LittleEndian(file[MagicOffset..]) == Magic;

    /// <summary>Reads the setup header.</summary>
    /// <param name="file">The whole file.</param>
    /// <param name="name">What messages call the file.</param>
    /// <returns>The image.</returns>
    /// <exception cref="KernelImageException">Truncated, too old, or not a 64-bit kernel.</exception>
    public static BzImage Parse(ReadOnlyMemory<byte> file, string name)
    {
        // The header ends where the jump over it leads to: 0x202 plus the byte at 0x201.
        int end = file.Length > JumpOffset + 1 ? MagicOffset + file.Span[JumpOffset + 1] : int.MaxValue;
        if (end > file.Length)
        {
            throw new KernelImageException(
                $"The kernel '{name}' is cut off inside its setup header ({file.Length} bytes); copy the file again.");
        }

        ReadOnlySpan<byte> header = file.Span[..end];
        ushort version = header.Length >= VersionOffset + 2 ? BinaryPrimitives.ReadUInt16LittleEndian(header[VersionOffset..]) : (ushort)0;
        bool isComplete = header.Length >= InitSizeOffset + sizeof(uint);
        if (version < LeastVersion || !isComplete || (header[LoadFlagsOffset] & LoadedHigh) == 0)
        {
            throw new KernelImageException(
                $"The kernel '{name}' has boot protocol {version >> 8}.{version & 0xff:00}; bzImages from 2.12 (Linux 3.8) on "
                + "are supported. Use a newer kernel, or its vmlinux ELF file.");
        }

        ushort xLoadFlags = BinaryPrimitives.ReadUInt16LittleEndian(header[XLoadFlagsOffset..]);
        if ((xLoadFlags & Kernel64) == 0)
        {
            throw new KernelImageException(
                $"The kernel '{name}' (boot protocol {version >> 8}.{version & 0xff:00}, xloadflags 0x{xLoadFlags:x}) has no 64-bit "
                + "entry: it is a 32-bit kernel or older than Linux 3.8. Use an x86-64 kernel.");
        }

        return new BzImage(file, name)
        {
            SetupHeader = file[SetupHeaderOffset..end],
            Version = version,
            InitrdAddressMaximum = BinaryPrimitives.ReadUInt32LittleEndian(header[InitrdAddressMaximumOffset..]),
            KernelAlignment = BinaryPrimitives.ReadUInt32LittleEndian(header[KernelAlignmentOffset..]),
            IsRelocatable = header[RelocatableOffset] != 0,
            CommandLineSize = BinaryPrimitives.ReadUInt32LittleEndian(header[CommandLineSizeOffset..]),
            InitSize = BinaryPrimitives.ReadUInt32LittleEndian(header[InitSizeOffset..]),
        };
    }

    /// <summary>Unpacks the vmlinux on the host, which spares the guest the time.</summary>
    /// <param name="maximumBytes">The most bytes that may come out.</param>
    /// <param name="cancellationToken">Ends the work.</param>
    /// <returns>The ELF file; relocation data follows it.</returns>
    /// <exception cref="KernelImageException">The payload lies outside the file or is damaged.</exception>
    public ReadOnlyMemory<byte> UnpackVmlinux(int maximumBytes, CancellationToken cancellationToken)
    {
        ReadOnlySpan<byte> file = _file.Span;

        // payload_offset counts from the protected-mode code, behind the setup sectors; 0 of them means 4.
        ulong sectors = file[SetupHeaderOffset] == 0 ? 4UL : file[SetupHeaderOffset];
        ulong start = ((sectors + 1) * 512) + BinaryPrimitives.ReadUInt32LittleEndian(file[PayloadOffsetOffset..]);
        ulong length = BinaryPrimitives.ReadUInt32LittleEndian(file[PayloadLengthOffset..]);
        if (start > (ulong)file.Length || length > (ulong)file.Length - start)
        {
            throw new KernelImageException(
                $"The kernel '{_name}' is truncated: its compressed part should end at byte {start + length}, the file has "
                + $"{file.Length} bytes; copy the file again.");
        }

        // The kernel's own decompressor unpacks within init_size (arch/x86/boot/header.S, ZO_INIT_SIZE).
        ReadOnlyMemory<byte> payload = _file.Slice((int)start, (int)length);
        if (payload.Length >= sizeof(uint) && KernelPayload.StatedSize(payload.Span) > InitSize)
        {
            throw new KernelImageException(
                $"The kernel '{_name}' contradicts itself: it unpacks to {KernelPayload.StatedSize(payload.Span)} bytes in {InitSize} bytes of "
                + "memory (init_size); the file is damaged: copy it again.");
        }

        return KernelPayload.UnpackBzImagePayload(payload, maximumBytes, _name, cancellationToken);
    }
}
