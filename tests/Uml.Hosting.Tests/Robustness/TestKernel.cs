namespace Uml.Hosting.Tests.Robustness;

/// <summary>The smallest kernels of Linux's kind.</summary>
internal static class TestKernel
{
    /// <summary>An ELF64 file with one segment: cli, hlt.</summary>
    public static byte[] Vmlinux(ulong address = 0x10_0000)
    {
        using MemoryStream file = new();
        using BinaryWriter writer = new(file);
        writer.Write([0x7F, 0x45, 0x4C, 0x46, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]); // ELFCLASS64, ELFDATA2LSB
        writer.Write([(byte)2, 0, 62, 0, 1, 0, 0, 0]);                                // ET_EXEC, EM_X86_64
        writer.Write(address);                                                        // e_entry
        writer.Write(64UL);                                                           // e_phoff
        writer.Write(0UL);
        writer.Write([0, 0, 0, 0, (byte)64, 0, 56, 0, 1, 0, 0, 0, 0, 0, 0, 0]);       // e_ehsize, e_phentsize, e_phnum
        writer.Write([(byte)1, 0, 0, 0, 5, 0, 0, 0]);                                 // PT_LOAD, readable and executable
        foreach (ulong field in (ulong[])[120, address, address, 2, 2, 4096])         // p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_align
        {
            writer.Write(field);
        }

        writer.Write([(byte)0xFA, 0xF4]);
        return file.ToArray();
    }

    /// <summary>A bzImage with both entries (Documentation/arch/x86/boot.rst): cli, hlt.</summary>
    public static byte[] BzImage()
    {
        const int codeOffset = 1024, entry64 = 0x200;
        byte[] image = new byte[codeOffset + entry64 + 16];
        image[0x1F1] = 1;                       // setup_sects
        image[0x1FE] = 0x55;                    // boot_flag
        image[0x1FF] = 0xAA;
        image[0x200] = 0xEB;                    // the jump over the header
        image[0x201] = 0x66;
        "HdrS"u8.CopyTo(image.AsSpan(0x202));
        image[0x206] = 0x0F;                    // boot protocol 2.15
        image[0x207] = 0x02;
        image[0x211] = 1;                       // LOADED_HIGH
        image[0x216] = 0x10;                    // code32_start
        BitConverter.GetBytes(0x7FFF_FFFFu).CopyTo(image, 0x22C); // initrd_addr_max
        image[0x236] = 1;                       // XLF_KERNEL_64
        image[0x239] = 8;                       // cmdline_size
        ((byte[])[0xFA, 0xF4]).CopyTo(image.AsSpan(codeOffset));
        ((byte[])[0xFA, 0xF4]).CopyTo(image.AsSpan(codeOffset + entry64));
        return image;
    }
}
