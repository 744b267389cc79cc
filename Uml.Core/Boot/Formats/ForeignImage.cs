using System.Buffers.Binary;
using Uml.Core.Boot.Payload;

namespace Uml.Core.Boot.Formats;

/// <summary>Recognizes formats of files that cannot be booted, for a helpful message.</summary>
internal static class ForeignImage
{
    /// <summary>The usual name of an ELF machine number.</summary>
    public static string ElfMachineName(ushort machine) => machine switch
    {
        2 => "SPARC",
        8 => "MIPS",
        20 => "32-bit PowerPC",
        21 => "64-bit PowerPC",
        22 => "s390",
        40 => "32-bit ARM",
        50 => "IA-64",
        183 => "AArch64 (arm64)",
        243 => "RISC-V",
        247 => "BPF",
        258 => "LoongArch",
        _ => "another machine",
    };

    /// <summary>Makes the error for a file that no loader takes.</summary>
    /// <param name="file">The file.</param>
    /// <param name="name">What messages call it.</param>
    /// <returns>The error.</returns>
    public static KernelImageException Reject(ReadOnlySpan<byte> file, string name)
    {
        string? known = Recognize(file);
        return new KernelImageException(known is not null
            ? $"The kernel '{name}' is {known}. Use an x86-64 bzImage (the distribution's vmlinuz) or vmlinux ELF file."
            : $"The kernel '{name}' ({file.Length} bytes, starting with {Describe.FirstBytes(file)}) is neither a bzImage nor an ELF "
              + "file nor has it a multiboot header; it may be damaged, encrypted or no kernel at all. "
              + $"For a flat binary say so with {nameof(BootOptions)}.{nameof(BootOptions.Protocol)}.");
    }

    private static string? Recognize(ReadOnlySpan<byte> file)
    {
        // arm64 and RISC-V put a magic number at 56 (Documentation/arch/arm64/booting.rst, riscv/boot-image-header.rst),
        // 32-bit ARM one at 36, EFI zboot images "zimg" at 4; the first three may also start like a PE file.
        return file switch
        {
            [] => "empty",
            _ when HasMagic(file, 56, 0x644d5241) => "an arm64 Image, for another machine",
            _ when HasMagic(file, 56, 0x05435352) => "a RISC-V Image, for another machine",
            _ when HasMagic(file, 36, 0x016f2818) => "a 32-bit ARM zImage, for another machine",
            _ when HasMagic(file, 4, 0x676d697a) => "an EFI zboot image, for another machine",
            [(byte)'M', (byte)'Z', ..] => "a PE (EFI or Windows) program without Linux's setup header",
            [(byte)'0', (byte)'7', (byte)'0', (byte)'7', (byte)'0', ..] => "a cpio archive: an initramfs, which belongs into the initrd",
            [(byte)'!', (byte)'<', (byte)'a', (byte)'r', (byte)'c', (byte)'h', (byte)'>', ..] =>
                "an ar archive or Debian package; unpack it and use the vmlinuz inside",
            [0xd0, 0x0d, 0xfe, 0xed, ..] => "a device tree or FIT image, for another machine",
            [0x27, 0x05, 0x19, 0x56, ..] => "a U-Boot uImage, for another machine",
            [(byte)'Q', (byte)'F', (byte)'I', 0xfb, ..] => "a qcow2 disk image, not a kernel",
            [(byte)'#', (byte)'!', ..] => "a script",
            _ when KernelPayload.Detect(file) != CompressionFormat.None =>
                $"{KernelPayload.Detect(file)}-compressed data inside {KernelPayload.Detect(file)}-compressed data, or a compressed initramfs",
            _ => null,
        };
    }

    private static bool HasMagic(ReadOnlySpan<byte> file, int offset, uint magic) =>
        file.Length >= offset + sizeof(uint) && BinaryPrimitives.ReadUInt32LittleEndian(file[offset..]) == magic;
}
