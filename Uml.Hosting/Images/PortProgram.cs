using System.Buffers.Binary;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Hosting.Images;

/// <summary>
/// A program for the guest that takes a number and writes it to an I/O port: to the board's debug-exit port, which ends the machine with a
/// status, or to that of a device that the guest's kernel has no driver for.
/// </summary>
/// <remarks>
/// Kernels of Debian have no /dev/port, so a shell cannot write to ports, but a program can after ioperm(2). It is assembled here, because
/// a compiler may not be available on the host.
/// </remarks>
internal static class PortProgram
{
    /// <summary>System calls of x86-64 Linux (arch/x86/entry/syscalls/syscall_64.tbl).</summary>
    private const int SysExit = 60, SysIoperm = 173;

    private const ulong LoadAddress = 0x40_0000;

    /// <summary>Sizes of the ELF header and of one program header (System V ABI, "ELF Header" and "Program Header").</summary>
    private const int ElfHeaderBytes = 64, ProgramHeaderBytes = 56;

    /// <summary>The program as an ELF file.</summary>
    /// <param name="port">Where it writes.</param>
    /// <param name="bytes">How many bytes of the number: 1 or 4.</param>
    public static byte[] Create(ushort port, int bytes)
    {
        const int headers = ElfHeaderBytes + ProgramHeaderBytes;
        using MemoryStream file = new();
        file.SetLength(headers);
        file.Position = headers;
        Assemble(port, bytes).Assemble(new StreamCodeWriter(file), LoadAddress + headers);
        byte[] program = file.ToArray();
        WriteHeaders(program);
        return program;
    }

    private static Assembler Assemble(ushort port, int bytes)
    {
        Assembler a = new(64);
        Label parse = a.CreateLabel(), parsed = a.CreateLabel(), fail = a.CreateLabel(), exit = a.CreateLabel();

        // At the entry RSP points to argc, argv[0], argv[1] (System V ABI for AMD64, 3.4.1).
        a.cmp(__qword_ptr[rsp], 2);
        a.jne(fail);
        a.mov(rsi, __qword_ptr[rsp + 16]);
        a.xor(ebx, ebx);
        a.Label(ref parse);
        a.movzx(eax, __byte_ptr[rsi]);
        a.test(eax, eax);
        a.je(parsed);
        a.sub(eax, '0');
        a.cmp(eax, 9);
        a.ja(fail);
        a.imul(ebx, ebx, 10);
        a.add(ebx, eax);
        a.inc(rsi);
        a.jmp(parse);
        a.Label(ref parsed);
        a.mov(edi, port);
        a.mov(esi, bytes);
        a.mov(edx, 1);
        a.mov(eax, SysIoperm);
        a.syscall();
        a.test(eax, eax);
        a.jne(fail);
        a.mov(eax, ebx);
        a.mov(edx, port);
        if (bytes == 1)
        {
            a.@out(dx, al);
        }
        else
        {
            a.@out(dx, eax);
        }

        a.xor(edi, edi);
        a.jmp(exit);
        a.Label(ref fail);
        a.mov(edi, 1);
        a.Label(ref exit);
        a.mov(eax, SysExit);
        a.syscall();
        return a;
    }

    private static void WriteHeaders(Span<byte> file)
    {
        // ELFCLASS64, little-endian, version 1; an executable for EM_X86_64.
        ReadOnlySpan<byte> identification = [0x7F, (byte)'E', (byte)'L', (byte)'F', 2, 1, 1];
        identification.CopyTo(file);
        BinaryPrimitives.WriteUInt16LittleEndian(file[16..], 2);
        BinaryPrimitives.WriteUInt16LittleEndian(file[18..], 62);
        BinaryPrimitives.WriteUInt32LittleEndian(file[20..], 1);
        BinaryPrimitives.WriteUInt64LittleEndian(file[24..], LoadAddress + ElfHeaderBytes + ProgramHeaderBytes);
        BinaryPrimitives.WriteUInt64LittleEndian(file[32..], ElfHeaderBytes);
        BinaryPrimitives.WriteUInt16LittleEndian(file[52..], ElfHeaderBytes);
        BinaryPrimitives.WriteUInt16LittleEndian(file[54..], ProgramHeaderBytes);
        BinaryPrimitives.WriteUInt16LittleEndian(file[56..], 1);

        // One segment, PT_LOAD, readable and executable: the whole file.
        Span<byte> segment = file[ElfHeaderBytes..];
        BinaryPrimitives.WriteUInt32LittleEndian(segment, 1);
        BinaryPrimitives.WriteUInt32LittleEndian(segment[4..], 5);
        BinaryPrimitives.WriteUInt64LittleEndian(segment[16..], LoadAddress);
        BinaryPrimitives.WriteUInt64LittleEndian(segment[24..], LoadAddress);
        BinaryPrimitives.WriteUInt64LittleEndian(segment[32..], (ulong)file.Length);
        BinaryPrimitives.WriteUInt64LittleEndian(segment[40..], (ulong)file.Length);
        BinaryPrimitives.WriteUInt64LittleEndian(segment[48..], 4096);
    }
}
