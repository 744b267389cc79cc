using System.Buffers.Binary;
using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.State;
using Uml.Core.Cpu;
using Uml.Core.Memory;

namespace Uml.Core.Sandbox;

/// <summary>
/// The descriptor tables, page tables and exception stubs below a sandbox's code, and the CPU state that uses them. Each vector has
/// a stub of one HLT instruction, so that an exception is seen as a halt at a known place.
/// </summary>
// SAFETY: the state is passed on while the sandbox, which owns the processor, sets it up.
internal static unsafe class SandboxTables
{
    public const ulong GdtAddress = 0x1000, IdtAddress = 0x2000, TssAddress = 0x3000, StubAddress = 0x4000;
    public const ulong ExceptionStackTop = 0x7000, PageTableAddress = 0x8000;
    public const int VectorCount = 256;
    public const ushort CodeSelector = 0x08, DataSelector = 0x10, TaskSelector = 0x18;

    private const ulong PageBytes = GuestRam.PageSize;

    /// <summary>Descriptors (Intel SDM vol. 3, 3.4.5): flat, present, DPL 0, accessed.</summary>
    private const ulong Code64 = 0x00AF_9B00_0000_FFFF, Code32 = 0x00CF_9B00_0000_FFFF, Data = 0x00CF_9300_0000_FFFF;

    private const ulong InitialCr0 = Cr0.PE | Cr0.MP | Cr0.ET | Cr0.NE;
    private const ulong InitialCr4 = Cr4.OSFXSR | Cr4.OSXMMEXCPT | Cr4.OSXSAVE;

    public static void Write(IGuestMemory memory, CodeMode mode)
    {
        Span<byte> stubs = stackalloc byte[VectorCount];
        stubs.Fill(0xF4);
        Put(memory, StubAddress, stubs);
        if (mode == CodeMode.Bits16)
        {
            WriteVectorTable(memory);
            return;
        }

        ulong busyTask = 0x0000_8B00_0000_0067 | (TssAddress << 16);
        ulong[] gdt = [0, mode == CodeMode.Bits64 ? Code64 : Code32, Data, busyTask, 0];
        for (int i = 0; i < gdt.Length; i++)
        {
            Put(memory, GdtAddress + ((ulong)i * 8), gdt[i]);
        }

        if (mode == CodeMode.Bits64)
        {
            // IST1 (Intel SDM vol. 3, 8.7): exceptions are delivered whatever RSP is.
            Put(memory, TssAddress + 0x24, ExceptionStackTop);
            WriteIdentityMap(memory);
        }

        WriteGates(memory, mode);
    }

    public static void Enter(ProcessorRegisters registers, CodeMode mode)
    {
        registers.Cr4 = mode == CodeMode.Bits64 ? InitialCr4 | Cr4.PAE : InitialCr4;
        registers.Xcr0 = StateComponents.Supported(registers.State);
        if (mode == CodeMode.Bits16)
        {
            registers.Cr0 = InitialCr0 & ~Cr0.PE;
            SegmentState segment = SegmentState.RealMode((ushort)(CodeSandbox.CodeAddress >> 4));
            (registers.Cs, registers.Ss, registers.Ds, registers.Es) = (segment, segment, segment, segment);
            (registers.Fs, registers.Gs) = (SegmentState.RealMode(0), SegmentState.RealMode(0));
            registers.Idtr = new DescriptorTable(0, (VectorCount * 4) - 1);
            return;
        }

        registers.Gdtr = new DescriptorTable(GdtAddress, (5 * 8) - 1);
        registers.Idtr = new DescriptorTable(IdtAddress, (ushort)((VectorCount * (mode == CodeMode.Bits64 ? 16 : 8)) - 1));
        registers.Tr = new SegmentState(TaskSelector, TssAddress, 0x67, 0x008B);
        if (mode == CodeMode.Bits64)
        {
            registers.Cr3 = PageTableAddress;
            registers.Efer = Efer.LME;
            registers.Cr0 = InitialCr0 | Cr0.PG;
            registers.Cs = SegmentState.Code64(CodeSelector);
        }
        else
        {
            registers.Cr0 = InitialCr0;
            registers.Cs = SegmentState.Code32(CodeSelector);
        }

        SegmentState data = SegmentState.Data(DataSelector);
        (registers.Ss, registers.Ds, registers.Es, registers.Fs, registers.Gs) = (data, data, data, data, data);
    }

    /// <summary>Real mode: segment and offset of each handler (Intel SDM vol. 3, 21.1.4).</summary>
    private static void WriteVectorTable(IGuestMemory memory)
    {
        Span<byte> entry = stackalloc byte[4];
        for (int vector = 0; vector < VectorCount; vector++)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(entry, (uint)StubAddress + (uint)vector);
            Put(memory, (ulong)vector * 4, entry);
        }
    }

    /// <summary>Interrupt gates (Intel SDM vol. 3, 7.11 and 7.14.1).</summary>
    private static void WriteGates(IGuestMemory memory, CodeMode mode)
    {
        bool isLong = mode == CodeMode.Bits64;
        ulong ist = isLong ? 1UL << 32 : 0;
        for (int vector = 0; vector < VectorCount; vector++)
        {
            ulong target = StubAddress + (ulong)vector;
            ulong gate = (target & 0xFFFF) | ((ulong)CodeSelector << 16) | ist | (0x8EUL << 40) | ((target >> 16) << 48);
            Put(memory, IdtAddress + ((ulong)vector * (isLong ? 16UL : 8)), gate);
        }
    }

    /// <summary>The first 4 GiB by 2 MiB pages, writable (Intel SDM vol. 3, 5.5).</summary>
    private static void WriteIdentityMap(IGuestMemory memory)
    {
        const ulong presentWritable = 3, large = 1 << 7, directory = PageTableAddress + (2 * PageBytes);
        Put(memory, PageTableAddress, (PageTableAddress + PageBytes) | presentWritable);
        for (ulong gigabyte = 0; gigabyte < 4; gigabyte++)
        {
            Put(memory, PageTableAddress + PageBytes + (gigabyte * 8), (directory + (gigabyte * PageBytes)) | presentWritable);
        }

        for (ulong page = 0; page < 4 * 512; page++)
        {
            Put(memory, directory + (page * 8), (page << 21) | large | presentWritable);
        }
    }

    private static void Put(IGuestMemory memory, ulong address, ulong value)
    {
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        Put(memory, address, bytes);
    }

    private static void Put(IGuestMemory memory, ulong address, ReadOnlySpan<byte> bytes)
    {
        if (!memory.TryWrite(new GuestPhysicalAddress(address), bytes))
        {
            throw new InvalidOperationException($"The sandbox has no memory at 0x{address:x}.");
        }
    }
}
