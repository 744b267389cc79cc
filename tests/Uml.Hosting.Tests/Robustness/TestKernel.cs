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
}
