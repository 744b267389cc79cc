using System.Buffers.Binary;
using Uml.Storage.Formats.Qcow2;
using Uml.Storage.Tests.Files;

namespace Uml.Storage.Tests.Formats.Qcow2;

/// <summary>Images after a power cut: they open, nothing refers to a free cluster, and each sector has what was flushed or was written since.</summary>
public sealed class Qcow2PowerCutTests
{
    private const int DiskLength = 2 << 20, Sectors = DiskLength / 512;

    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [Test]
    public async Task Nothing_that_was_flushed_is_lost([Values(512, 4096, 65536)] int clusterSize, [Values(2, 3)] int version, [Values(1, 2, 3)] int seed)
    {
        string path = _folder["disk"];
        Qcow2BlockDevice.Create(path, DiskLength, new Qcow2CreateOptions { ClusterSize = clusterSize, Version = version });
        await CutAsync(await File.ReadAllBytesAsync(path), new uint[Sectors], OneOf(clusterSize), seed);
    }

    [Test]
    public async Task Nothing_of_an_image_with_a_snapshot_is_lost([Values(512, 4096, 65536)] int clusterSize, [Values(1, 2)] int seed)
    {
        string path = _folder["disk"];
        QemuImage.Run("create", "-f", "qcow2", "-o", $"cluster_size={clusterSize}", path, "2M");
        uint[] stamps = new uint[Sectors];
        await using (Qcow2BlockDevice device = Qcow2BlockDevice.Open(path))
        {
            for (int sector = 0; sector < Sectors; sector += 7)
            {
                stamps[sector] = (uint)sector + 1_000_000;
                await device.WriteAsync(sector * 512, Stamp(stamps[sector], 1));
            }
        }

        QemuImage.Run("snapshot", "-c", "before", path);
        await CutAsync(await File.ReadAllBytesAsync(path), stamps, OneOf(clusterSize), seed);
    }

    /// <summary>A refcount table of one cluster counts 2 MiB here: it has to grow, and to move.</summary>
    [Test]
    public async Task Nothing_is_lost_while_the_refcount_table_moves([Values(1, 2)] int seed)
    {
        string path = _folder["disk"];
        Qcow2BlockDevice.Create(path, DiskLength, new Qcow2CreateOptions { ClusterSize = 512, RefcountBits = 64 });
        byte[] image = await File.ReadAllBytesAsync(path);
        uint[] stamps = new uint[Sectors];
        Array.Fill(stamps, 7U, 0, Sectors * 966 / 1000);
        PowerCutFile file = new(image);
        await using (Qcow2BlockDevice device = Qcow2BlockDevice.Open(file, new Qcow2Options(), []))
        {
            await device.WriteAsync(0, Stamp(7, Sectors * 966 / 1000));
        }

        long table = BinaryPrimitives.ReadInt64BigEndian(file.Contents.AsSpan(48));
        byte[] left = await CutAsync(file.Contents, stamps, oneOf: 3, seed, hasZeroes: false);
        Assert.That(BinaryPrimitives.ReadInt64BigEndian(left.AsSpan(48)), Is.Not.EqualTo(table));
    }

    [Test]
    public async Task A_repair_can_be_cut([Values(512, 4096, 65536)] int clusterSize)
    {
        string path = _folder["disk"];
        Qcow2BlockDevice.Create(path, DiskLength, new Qcow2CreateOptions { ClusterSize = clusterSize });
        byte[] contents = new byte[DiskLength];
        new Random(clusterSize).NextBytes(contents);
        await using (Qcow2BlockDevice device = Qcow2BlockDevice.Open(path))
        {
            await device.WriteAsync(0, contents);
        }

        byte[] image = await File.ReadAllBytesAsync(path);
        image[79] = 1;
        Random random = new(clusterSize);
        PowerCutFile file = new(image);
        List<byte[]> cuts = [];
        file.Before = _ => cuts.Add(file.Cut(random));
        await using (Qcow2BlockDevice.Open(file, new Qcow2Options(), []))
        {
        }

        Assert.That(cuts, Has.Count.GreaterThan(4));
        foreach (byte[] cut in cuts)
        {
            await using Qcow2BlockDevice device = Qcow2BlockDevice.Open(new PowerCutFile(cut), new Qcow2Options(), []);
            byte[] read = new byte[DiskLength];
            await device.ReadAsync(0, read);
            Assert.That(read.AsSpan().SequenceEqual(contents));
        }
    }

    /// <summary>Small clusters make more operations.</summary>
    private static int OneOf(int clusterSize) => clusterSize == 65536 ? 6 : 25;

    /// <summary>Runs requests on a file, and looks at what a cut may leave at many moments.</summary>
    /// <returns>What the file has at last.</returns>
    private static async Task<byte[]> CutAsync(byte[] image, uint[] stamps, int oneOf, int seed, bool hasZeroes = true)
    {
        Random random = new(seed);
        PowerCutFile file = new(image);
        List<uint>[] allowed = [.. stamps.Select(stamp => new List<uint> { stamp })];
        List<(byte[] Image, uint[][] Allowed)> cuts = [];
        file.Before = _ =>
        {
            if (random.Next(oneOf) == 0)
            {
                cuts.Add((file.Cut(random), [.. allowed.Select(list => list.ToArray())]));
            }
        };

        // A small cache and few clusters: tables are written for lack of memory too, and clusters are used again.
        await using (Qcow2BlockDevice device = Qcow2BlockDevice.Open(file, new Qcow2Options { CacheBytes = 0 }, []))
        {
            await RequestAsync(device, allowed, random, hasZeroes);
        }

        Assert.That(cuts, Has.Count.GreaterThan(20));
        foreach ((byte[] left, uint[][] stampsThen) in cuts)
        {
            await CheckAsync(left, stampsThen);
        }

        return file.Contents;
    }

    private static async Task RequestAsync(Qcow2BlockDevice device, List<uint>[] allowed, Random random, bool hasZeroes)
    {
        for (uint i = 1; i < 300; i++)
        {
            int first = random.Next(Sectors);
            int count = Math.Min(Sectors - first, 1 + (random.Next(3) == 0 ? random.Next(200) : random.Next(8)));
            switch (random.Next(10))
            {
                case 0 or 1:
                    await device.FlushAsync();
                    Array.ForEach(allowed, list => list.RemoveRange(0, list.Count - 1));
                    break;
                case 2 or 3 when hasZeroes:
                    Allow(allowed, first, count, 0);
                    await device.WriteZeroesAsync(first * 512, count * 512, mayDiscard: random.Next(3) != 0);
                    break;
                default:
                    Allow(allowed, first, count, i);
                    await device.WriteAsync(first * 512, Stamp(i, count));
                    break;
            }
        }
    }

    private static void Allow(List<uint>[] allowed, int first, int count, uint stamp)
    {
        for (int sector = first; sector < first + count; sector++)
        {
            allowed[sector].Add(stamp);
        }
    }

    private static async Task CheckAsync(byte[] image, uint[][] allowed)
    {
        PowerCutFile file = new(image);
        Qcow2CheckResult result = Qcow2Check.Run(file);
        Assert.That(result.Corruptions, Is.Zero, string.Join('\n', result.Messages));
        await using (Qcow2BlockDevice device = Qcow2BlockDevice.Open(file, new Qcow2Options(), []))
        {
            byte[] all = new byte[DiskLength];
            await device.ReadAsync(0, all);
            for (int sector = 0; sector < Sectors; sector++)
            {
                uint stamp = BinaryPrimitives.ReadUInt32LittleEndian(all.AsSpan(sector * 512));
                Assert.That(all.AsSpan(sector * 512, 512).SequenceEqual(Stamp(stamp, 1)), $"sector {sector} is mixed");
                Assert.That(allowed[sector], Does.Contain(stamp), $"sector {sector}");
            }
        }

        Qcow2Check.Repair(file);
        Assert.That(Qcow2Check.Run(file).Messages, Is.Empty);
    }

    private static byte[] Stamp(uint stamp, int sectors)
    {
        byte[] bytes = new byte[sectors * 512];
        for (int i = 0; i < bytes.Length; i += 4)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(i), stamp);
        }

        return bytes;
    }
}
