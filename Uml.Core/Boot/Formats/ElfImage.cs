using System.Buffers.Binary;

namespace Uml.Core.Boot.Formats;

/// <summary>One PT_LOAD program header, checked against the file.</summary>
/// <param name="PhysicalAddress">p_paddr.</param>
/// <param name="VirtualAddress">p_vaddr.</param>
/// <param name="MemorySize">p_memsz: what lies behind the file's bytes is zero.</param>
/// <param name="Data">The file's bytes.</param>
internal readonly record struct ElfSegment(
    ulong PhysicalAddress, ulong VirtualAddress, ulong MemorySize, ReadOnlyMemory<byte> Data);

/// <summary>An executable ELF file of x86 or x86-64 (System V ABI, chapters 4 and 5; Linux uapi elf.h).</summary>
internal sealed class ElfImage
{
    private const int IdentBytes = 16;
    private const byte Class32 = 1;
    private const byte Class64 = 2;
    private const byte LittleEndian = 1;
    private const ushort TypeExecutable = 2;
    private const ushort TypeDynamic = 3;
    private const ushort MachineI386 = 3;
    private const ushort MachineX64 = 62;
    private const uint SegmentLoad = 1;
    private const uint SegmentNote = 4;
    private const uint XenNotePhys32Entry = 18; // xen/interface/elfnote.h, XEN_ELFNOTE_PHYS32_ENTRY

    // Kernels have fewer than ten; a limit of ours.
    private const int MaximumSegments = 1024;

    private readonly List<ElfSegment> _segments = [];

    private ElfImage(bool is64Bit, ushort machine, ulong entryPoint)
    {
        Is64Bit = is64Bit;
        IsX64 = machine == MachineX64;
        EntryPoint = entryPoint;
    }

    /// <summary>Whether the file is of class ELF64.</summary>
    public bool Is64Bit { get; }

    /// <summary>Whether the machine is x86-64 rather than i386.</summary>
    public bool IsX64 { get; }

    /// <summary>e_entry: for Linux the physical address of startup_64, for other programs as they define it.</summary>
    public ulong EntryPoint { get; }

    /// <summary>The entry point, translated if it is a virtual address inside a segment that is loaded elsewhere.</summary>
    public ulong PhysicalEntryPoint
    {
        get
        {
            foreach (ElfSegment segment in _segments)
            {
                if (EntryPoint >= segment.VirtualAddress && EntryPoint - segment.VirtualAddress < segment.MemorySize)
                {
                    return unchecked(EntryPoint - segment.VirtualAddress + segment.PhysicalAddress);
                }
            }

            return EntryPoint;
        }
    }

    /// <summary>The 32-bit physical entry point of the PVH note, if the file has one.</summary>
    public uint? PvhEntryPoint { get; private set; }

    /// <summary>The segments to load that are not empty, in file order.</summary>
    public IReadOnlyList<ElfSegment> Segments => _segments;

    /// <summary>Whether the file starts with ELF's magic number.</summary>
    public static bool IsElf(ReadOnlySpan<byte> file) => file is [0x7f, (byte)'E', (byte)'L', (byte)'F', ..];

    /// <summary>Whether an ELF file is of class ELF64.</summary>
    public static bool IsClass64(ReadOnlySpan<byte> file) => file.Length > 4 && file[4] == Class64;

    /// <summary>Wraps one segment of a file that is no ELF file but says where it goes.</summary>
    /// <param name="segment">The segment.</param>
    /// <param name="entryPoint">Where to enter it.</param>
    public static ElfImage FromFlat(ElfSegment segment, ulong entryPoint)
    {
        ElfImage image = new(is64Bit: false, MachineI386, entryPoint);
        image._segments.Add(segment);
        return image;
    }

    /// <summary>Reads the headers.</summary>
    /// <param name="file">The whole file; what follows the ELF data does not matter.</param>
    /// <param name="name">What messages call the file.</param>
    /// <returns>The image.</returns>
    /// <exception cref="KernelImageException">Truncated, inconsistent, or of another machine.</exception>
    public static ElfImage Parse(ReadOnlyMemory<byte> file, string name)
    {
        ReadOnlySpan<byte> span = file.Span;
        if (span.Length < IdentBytes + 4)
        {
            throw Truncated(name, file.Length, "its ELF header");
        }

        bool is64 = span[4] == Class64;
        if ((!is64 && span[4] != Class32) || span[5] != LittleEndian)
        {
            throw new KernelImageException(
                $"The ELF file '{name}' has class {span[4]} and data encoding {span[5]}; "
                + "only little-endian files of x86 and x86-64 can be booted.");
        }

        ushort type = BinaryPrimitives.ReadUInt16LittleEndian(span[16..]);
        ushort machine = BinaryPrimitives.ReadUInt16LittleEndian(span[18..]);
        if (machine is not (MachineI386 or MachineX64))
        {
            throw new KernelImageException(
                $"The ELF file '{name}' is for {ForeignImage.ElfMachineName(machine)} (e_machine {machine}); use a kernel for x86-64.");
        }

        if (type is not (TypeExecutable or TypeDynamic))
        {
            throw new KernelImageException(
                $"The ELF file '{name}' has type {type}, which is not an executable; an object file or a kernel module cannot be booted.");
        }

        if (span.Length < (is64 ? 64 : 52))
        {
            throw Truncated(name, file.Length, "its ELF header");
        }

        ElfImage image = new(is64, machine, ReadWord(span, is64, 24));
        image.ReadProgramHeaders(file, name);
        return image;
    }

    private static ulong ReadWord(ReadOnlySpan<byte> span, bool is64, int offset) =>
        is64 ? BinaryPrimitives.ReadUInt64LittleEndian(span[offset..]) : BinaryPrimitives.ReadUInt32LittleEndian(span[offset..]);

    private static KernelImageException Truncated(string name, int length, string part) =>
        new($"The ELF file '{name}' ({length} bytes) is cut off inside {part}; copy the file again.");

    private void ReadProgramHeaders(ReadOnlyMemory<byte> file, string name)
    {
        ReadOnlySpan<byte> span = file.Span;
        ulong tableOffset = ReadWord(span, Is64Bit, Is64Bit ? 32 : 28);
        int entryBytes = BinaryPrimitives.ReadUInt16LittleEndian(span[(Is64Bit ? 54 : 42)..]);
        int count = BinaryPrimitives.ReadUInt16LittleEndian(span[(Is64Bit ? 56 : 44)..]);
        if (count is 0 or > MaximumSegments || entryBytes < (Is64Bit ? 56 : 32))
        {
            throw new KernelImageException(
                $"The ELF file '{name}' has {count} program headers of {entryBytes} bytes; a kernel has 1 to {MaximumSegments}. "
                + "An object file or a stripped debug file cannot be booted.");
        }

        if (tableOffset > (ulong)span.Length || (ulong)(count * entryBytes) > (ulong)span.Length - tableOffset)
        {
            throw Truncated(name, span.Length, "its program headers");
        }

        for (int i = 0; i < count; i++)
        {
            ReadProgramHeader(file, name, i, span.Slice((int)tableOffset + (i * entryBytes), entryBytes));
        }

        if (_segments.Count == 0)
        {
            throw new KernelImageException($"The ELF file '{name}' has no segment to load; it is not a kernel.");
        }
    }

    private void ReadProgramHeader(ReadOnlyMemory<byte> file, string name, int index, ReadOnlySpan<byte> header)
    {
        uint type = BinaryPrimitives.ReadUInt32LittleEndian(header);
        ulong offset = ReadWord(header, Is64Bit, Is64Bit ? 8 : 4);
        ulong virtualAddress = ReadWord(header, Is64Bit, Is64Bit ? 16 : 8);
        ulong physicalAddress = ReadWord(header, Is64Bit, Is64Bit ? 24 : 12);
        ulong fileSize = ReadWord(header, Is64Bit, Is64Bit ? 32 : 16);
        ulong memorySize = ReadWord(header, Is64Bit, Is64Bit ? 40 : 20);
        if (type is not (SegmentLoad or SegmentNote) || (type == SegmentLoad && memorySize == 0))
        {
            return;
        }

        if (offset > (ulong)file.Length || fileSize > (ulong)file.Length - offset)
        {
            throw new KernelImageException(
                $"The ELF file '{name}' is truncated: segment {index} is {fileSize} bytes at {offset}, the file has {file.Length} "
                + "bytes; copy the file again.");
        }

        ReadOnlyMemory<byte> data = file.Slice((int)offset, (int)fileSize);
        if (type == SegmentNote)
        {
            PvhEntryPoint ??= FindPvhEntry(data.Span);
            return;
        }

        if (fileSize > memorySize || memorySize > ulong.MaxValue - physicalAddress)
        {
            throw new KernelImageException(
                $"The ELF file '{name}' contradicts itself: segment {index} has {fileSize} bytes in the file and {memorySize} in "
                + $"memory at 0x{physicalAddress:x}; the file is damaged.");
        }

        _segments.Add(new ElfSegment(physicalAddress, virtualAddress, memorySize, data));
    }

    // A note is namesz, descsz, type, then name and descriptor, each padded to 4 bytes. A damaged list just has no PVH note.
    private static uint? FindPvhEntry(ReadOnlySpan<byte> notes)
    {
        while (notes.Length >= 12)
        {
            uint nameSize = BinaryPrimitives.ReadUInt32LittleEndian(notes);
            uint descriptorSize = BinaryPrimitives.ReadUInt32LittleEndian(notes[4..]);
            uint type = BinaryPrimitives.ReadUInt32LittleEndian(notes[8..]);
            ulong descriptorStart = 12 + (((ulong)nameSize + 3) & ~3UL);
            ulong end = descriptorStart + descriptorSize;
            if (end > (ulong)notes.Length)
            {
                return null;
            }

            if (type == XenNotePhys32Entry && descriptorSize >= 4 && notes.Slice(12, (int)nameSize).SequenceEqual("Xen\0"u8))
            {
                return BinaryPrimitives.ReadUInt32LittleEndian(notes[(int)descriptorStart..]);
            }

            notes = notes[(int)Math.Min((end + 3) & ~3UL, (ulong)notes.Length)..];
        }

        return null;
    }
}
