using System.Buffers.Binary;
using System.Formats.Tar;
using System.Text;
using SharpCompress.Compressors.Xz;
using Uml.Fuzz.Running;
using Uml.Storage.Images;
using Uml.Storage.Tests.Images;

namespace Uml.Fuzz.Packages;

/// <summary>Attacks the reader of Debian packages and what is made of their contents.</summary>
internal static class PackageFuzz
{
    private const string Release = "6.1.0-fuzz";
    private const int TarBlock = 512;
    private const long MaximumUnpackedBytes = 4 << 20;

    private static readonly string[] _compressions = ["", ".gz", ".zst"];
    private static readonly string[] _parts =
    [
        "a", "b", "lib", "modules", Release, "boot", "vmlinuz-6.1.0-fuzz", "own.ko", "modules.builtin", ".", "..", "", " ", "ä", new string('n', 255), new string('n', 256),
    ];

    private static readonly string[] _targets =
    [
        "", ".", "..", "/", "a", "../victim/file", "/dev/zero", "/proc/self/mem", "a/../../victim", "lib", "../../../../../../etc/passwd", new string('t', 4096),
    ];

    public static void Run(FuzzRun run)
    {
        run.ForEachCase(test =>
        {
            using ScratchDirectory scratch = new();
            Directory.CreateDirectory(scratch["victim"]);
            File.WriteAllText(scratch["victim/file"], "intact");
            byte[] bytes = CreatePackage(test.Random);
            test.Description = $"{bytes.Length} bytes";
            try
            {
                Use(bytes, scratch["out"], test);
            }
            catch (ImageContentException)
            {
                test.Count("refused");
            }

            CheckVictim(scratch);
        });
    }

    private static void Use(byte[] bytes, string directory, FuzzCase test)
    {
        using DebianPackage package = DebianPackage.Open(new MemoryStream(bytes), "fuzz.deb");
        package.MaximumUnpackedBytes = MaximumUnpackedBytes;
        package.ReadControl();
        package.Extract(directory, test.Random.OneIn(4) ? path => path.Length % 3 != 0 : null);
        test.Count("unpacked");
        _ = new InitramfsBuilder().AddHostDirectory("/", directory).Build();
        string modules = Path.Combine(directory, "lib/modules", Release);
        if (Directory.Exists(modules))
        {
            new InitramfsBuilder().AddModules(modules, ["own"]);
            test.Count("read modules");
        }
    }

    private static void CheckVictim(ScratchDirectory scratch)
    {
        bool isIntact = File.ReadAllText(scratch["victim/file"]) == "intact" && Directory.GetFileSystemEntries(scratch["victim"]).Length == 1
            && Array.TrueForAll(Directory.GetFileSystemEntries(scratch.Path), entry => Path.GetFileName(entry) is "victim" or "out");
        if (!isIntact)
        {
            throw new InvalidOperationException("Something was written outside of the directory.");
        }
    }

    private static byte[] CreatePackage(FuzzRandom random)
    {
        using MemoryStream ar = new();
        ar.Write("!<arch>\n"u8);
        FakePackage.AddMember(ar, "debian-binary", "2.0\n"u8);
        byte[] control = FakePackage.Tar(FakePackage.File("control", random.OneIn(4) ? Encoding.UTF8.GetString(random.Bytes(400)) : "Package: p\nVersion: 1\n"));
        FakePackage.AddMember(ar, "control.tar", random.OneIn(6) ? DamageTar(random, control) : control);
        if (random.OneIn(8))
        {
            FakePackage.AddMember(ar, "data.tar.xz", DamageXz(random));
        }
        else
        {
            byte[] tar = FakePackage.Tar([.. CreateEntries(random)]);
            tar = random.OneIn(2) ? DamageTar(random, tar) : tar;
            string compression = random.Pick(_compressions);
            byte[] packed = FakePackage.Compress(compression, tar);
            FakePackage.AddMember(ar, "data.tar" + compression, random.OneIn(6) ? Mutator.Mutate(random, packed, 32) : packed);
        }

        return random.OneIn(6) ? Mutator.Mutate(random, ar.ToArray(), 200) : ar.ToArray();
    }

    private static IEnumerable<TarEntry> CreateEntries(FuzzRandom random)
    {
        if (random.OneIn(2))
        {
            byte[] module = FakeModule.Create("depends=", $"alias={new string('x', random.Below(40))}", "softdep=pre: ghost own post: x");
            yield return FakePackage.Folder($"lib/modules/{Release}");
            yield return Contents(new PaxTarEntry(TarEntryType.RegularFile, $"lib/modules/{Release}/own.ko"), random.OneIn(2) ? module : Mutator.Mutate(random, module, 64));
        }

        for (int i = random.Below(8); i > 0; i--)
        {
            string name = CreateName(random);
            TarEntryType type = random.Pick<TarEntryType>([TarEntryType.RegularFile, TarEntryType.Directory, TarEntryType.SymbolicLink, TarEntryType.HardLink, TarEntryType.Fifo]);
            TarEntry entry = random.OneIn(2)
                ? new PaxTarEntry(type, name, random.OneIn(3) ? [new("UML.note", new string('n', random.Below(3000)))] : [])
                : new GnuTarEntry(type, name);
            entry.Mode = (UnixFileMode)random.Below(0x1000);
            if (type is TarEntryType.SymbolicLink or TarEntryType.HardLink)
            {
                // The writer refuses an empty target, so that only damage makes one.
                string target = random.OneIn(2) ? random.Pick(_targets) : CreateName(random);
                entry.LinkName = target.Length == 0 ? "t" : target;
            }

            yield return type == TarEntryType.RegularFile ? Contents(entry, random.Bytes(random.Below(2000))) : entry;
        }
    }

    private static string CreateName(FuzzRandom random)
    {
        string name = string.Join('/', Enumerable.Range(0, 1 + random.Below(4)).Select(_ => random.Pick(_parts)));
        return name.Length == 0 ? "x" : name;
    }

    private static TarEntry Contents(TarEntry entry, byte[] contents)
    {
        entry.DataStream = new MemoryStream(contents);
        return entry;
    }

    /// <summary>Damages headers and makes their checksums right, so that they are read.</summary>
    private static byte[] DamageTar(FuzzRandom random, byte[] tar)
    {
        if (tar.Length < TarBlock)
        {
            return tar;
        }

        int blocks = tar.Length / TarBlock;
        int damaged = random.Below(blocks);
        byte[] block = Mutator.Mutate(random, tar.AsSpan(damaged * TarBlock, TarBlock), TarBlock);
        block.AsSpan(0, Math.Min(block.Length, TarBlock)).CopyTo(tar.AsSpan(damaged * TarBlock));
        for (int at = 0; at + TarBlock <= tar.Length; at += TarBlock)
        {
            Span<byte> header = tar.AsSpan(at, TarBlock);
            if (header.Slice(257, 5).SequenceEqual("ustar"u8))
            {
                header.Slice(148, 8).Fill((byte)' ');
                int sum = 0;
                foreach (byte value in header)
                {
                    sum += value;
                }

                Encoding.ASCII.GetBytes(Convert.ToString(sum, 8).PadLeft(6, '0') + "\0 ").CopyTo(header[148..]);
            }
        }

        return tar;
    }

    private static byte[] DamageXz(FuzzRandom random)
    {
        byte[] xz = Mutator.Mutate(random, Convert.FromBase64String(FakePackage.XzTar), 40);
        if (xz.Length > 24 && random.OneIn(2))
        {
            xz[12] = 2;
            BinaryPrimitives.WriteUInt32LittleEndian(xz.AsSpan(20), Crc32.Compute(xz[12..20]));
        }

        return xz;
    }
}
