using System.Buffers.Binary;
using System.Text;

namespace Uml.Storage.Images;

/// <summary>A kernel module file, unpacked, with what its .modinfo section says.</summary>
internal sealed class KernelModule
{
    private const int SectionHeaderBytes = 64;

    // That of the module with the most aliases has some hundred thousand; a limit of ours.
    private const int MaximumInfoBytes = 4 * 1024 * 1024;

    private KernelModule(string relativePath, byte[] contents)
    {
        RelativePath = relativePath;
        Contents = contents;
    }

    /// <summary>The path below the modules directory, without the ending of a compressed file.</summary>
    public string RelativePath { get; }

    /// <summary>The ELF file.</summary>
    public byte[] Contents { get; }

    /// <summary>The modules that must be loaded before ("depends").</summary>
    public List<string> Dependencies { get; } = [];

    /// <summary>The modules or aliases that should be loaded before if there are any ("softdep=pre:").</summary>
    public List<string> SoftDependencies { get; } = [];

    /// <summary>Other names of the module, wildcards among them ("alias").</summary>
    public List<string> Aliases { get; } = [];

    /// <summary>Reads an unpacked module.</summary>
    /// <param name="relativePath">Its path below the modules directory.</param>
    /// <param name="contents">The ELF file.</param>
    /// <exception cref="ImageContentException">Not a 64-bit ELF file, or damaged.</exception>
    public static KernelModule Parse(string relativePath, byte[] contents)
    {
        KernelModule module = new(relativePath, contents);
        ReadOnlySpan<byte> info = module.FindModInfo();
        if (info.Length > MaximumInfoBytes)
        {
            throw module.Damaged($"says {info.Length} bytes about itself where {MaximumInfoBytes} are plenty");
        }

        foreach (Range range in info.Split((byte)0))
        {
            module.AddInfo(Encoding.UTF8.GetString(info[range]));
        }

        return module;
    }

    private void AddInfo(string info)
    {
        int equals = info.IndexOf('=', StringComparison.Ordinal);
        string value = equals < 0 ? "" : info[(equals + 1)..];
        switch (equals < 0 ? "" : info[..equals])
        {
            case "depends":
                Dependencies.AddRange(value.Split(',', StringSplitOptions.RemoveEmptyEntries));
                break;
            case "softdep":
                AddSoftDependencies(value);
                break;
            case "alias":
                Aliases.Add(value);
                break;
        }
    }

    // modprobe.d(5): "pre: a b post: c d".
    private void AddSoftDependencies(string value)
    {
        bool before = false;
        foreach (string word in value.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            if (word is "pre:" or "post:")
            {
                before = word == "pre:";
            }
            else if (before)
            {
                SoftDependencies.Add(word);
            }
        }
    }

    /// <summary>Finds the .modinfo section: zero-terminated "key=value" strings (System V ABI, section headers).</summary>
    private ReadOnlySpan<byte> FindModInfo()
    {
        ReadOnlySpan<byte> file = Contents;
        if (file is not [0x7f, (byte)'E', (byte)'L', (byte)'F', 2, 1, ..] || file.Length < 64)
        {
            throw Damaged("is not a 64-bit ELF file");
        }

        ulong table = BinaryPrimitives.ReadUInt64LittleEndian(file[40..]);
        int entryBytes = BinaryPrimitives.ReadUInt16LittleEndian(file[58..]);
        int count = BinaryPrimitives.ReadUInt16LittleEndian(file[60..]);
        int namesIndex = BinaryPrimitives.ReadUInt16LittleEndian(file[62..]);
        if (entryBytes < SectionHeaderBytes || namesIndex >= count
            || table > (ulong)file.Length || (ulong)(count * entryBytes) > (ulong)file.Length - table)
        {
            throw Damaged("has no valid section headers");
        }

        ReadOnlySpan<byte> headers = file.Slice((int)table, count * entryBytes);
        ReadOnlySpan<byte> names = Section(headers[(namesIndex * entryBytes)..]);
        for (int i = 0; i < count; i++)
        {
            ReadOnlySpan<byte> header = headers.Slice(i * entryBytes, entryBytes);
            uint name = BinaryPrimitives.ReadUInt32LittleEndian(header);
            if (name < (uint)names.Length && names[(int)name..].StartsWith(".modinfo\0"u8))
            {
                return Section(header);
            }
        }

        throw Damaged("has no .modinfo section");
    }

    private ReadOnlySpan<byte> Section(ReadOnlySpan<byte> header)
    {
        ulong offset = BinaryPrimitives.ReadUInt64LittleEndian(header[24..]);
        ulong size = BinaryPrimitives.ReadUInt64LittleEndian(header[32..]);
        return offset <= (ulong)Contents.Length && size <= (ulong)Contents.Length - offset
            ? Contents.AsSpan((int)offset, (int)size)
            : throw Damaged("has a section outside the file");
    }

    private ImageContentException Damaged(string why) =>
        new($"The kernel module '{RelativePath}' ({Contents.Length} bytes) {why}; unpack the kernel's package again.");
}
