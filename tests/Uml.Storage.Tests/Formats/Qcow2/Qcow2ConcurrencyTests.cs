using Uml.Storage.Formats.Qcow2;

namespace Uml.Storage.Tests.Formats.Qcow2;

/// <summary>Many requests at once: each task has sectors of its own, which share clusters with those of others.</summary>
public sealed class Qcow2ConcurrencyTests
{
    private const int Tasks = 16, Sectors = 4096;

    private TemporaryFolder _folder = null!;

    private string Disk => _folder["disk"];

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [TestCase(2, 512, 0)]
    [TestCase(3, 512, 1 << 20)]
    [TestCase(3, 4096, 0)]
    [TestCase(3, 65536, 0)]
    [TestCase(2, 65536, 1 << 20)]
    public async Task Requests_that_share_clusters_keep_each_other_s_data(int version, int clusterSize, int cacheBytes)
    {
        Qcow2BlockDevice.Create(Disk, Sectors * 512, new Qcow2CreateOptions { Version = version, ClusterSize = clusterSize });
        byte[] contents = new byte[Sectors * 512];
        await using (Qcow2BlockDevice device = Qcow2BlockDevice.Open(Disk, new Qcow2Options { CacheBytes = cacheBytes }))
        {
            await Task.WhenAll(Enumerable.Range(0, Tasks).Select(task => Task.Run(() => UseAsync(device, contents, task))));
            byte[] all = new byte[contents.Length];
            await device.ReadAsync(0, all);
            Assert.That(all.AsSpan().CommonPrefixLength(contents), Is.EqualTo(all.Length), "first difference");
        }

        QemuImage.AssertClean(Disk);
        QemuImage.AssertContents(Disk, contents, _folder["copy"]);
    }

    [Test]
    public async Task A_cluster_that_is_freed_is_not_used_again_under_a_request_that_is_under_way()
    {
        Qcow2BlockDevice.Create(Disk, 1 << 20);
        SlowFile file = new(Disk);
        await using Qcow2BlockDevice device = Qcow2BlockDevice.Open(file, new Qcow2Options(), []);
        await device.WriteAsync(0, Filled(1));
        await device.FlushAsync();

        TaskCompletionSource gate = new(TaskCreationOptions.RunContinuationsAsynchronously);
        file.Gate = gate.Task;
        Task late = device.WriteAsync(0, Filled(2)).AsTask();
        file.Gate = null;
        for (int i = 0; i < 4; i++)
        {
            await device.DiscardAsync(0, 64 << 10);
            await device.FlushAsync();
            await device.WriteAsync((i + 1) * (64 << 10), Filled(3));
        }

        gate.SetResult();
        await late;
        byte[] read = new byte[4 * (64 << 10)];
        await device.ReadAsync(64 << 10, read);
        Assert.That(read, Has.All.EqualTo(3));
    }

    [Test]
    public async Task A_discard_gives_clusters_back_that_are_used_again()
    {
        Qcow2BlockDevice.Create(Disk, 8 << 20);
        await using (Qcow2BlockDevice device = Qcow2BlockDevice.Open(Disk))
        {
            for (int i = 0; i < 50; i++)
            {
                await device.WriteAsync(i % 4 * (2 << 20), new byte[1 << 20]);
                await device.FlushAsync();
                await device.DiscardAsync(0, 8 << 20);
                await device.FlushAsync();
            }
        }

        Assert.That(new FileInfo(Disk).Length, Is.LessThan(3 << 20));
        QemuImage.AssertClean(Disk);
    }

    [Test]
    public async Task What_a_late_write_leaves_behind_the_end_does_not_come_back_with_a_larger_size()
    {
        Qcow2BlockDevice.Create(Disk, 1 << 20);
        SlowFile file = new(Disk);
        await using Qcow2BlockDevice device = Qcow2BlockDevice.Open(file, new Qcow2Options(), []);
        await device.WriteAsync(3 * (64 << 10), Filled(1));

        TaskCompletionSource gate = new(TaskCreationOptions.RunContinuationsAsynchronously);
        file.Gate = gate.Task;
        Task late = device.WriteAsync(3 * (64 << 10), new byte[][] { Filled(2), Filled(3) }.SelectMany(part => part).ToArray()).AsTask();
        file.Gate = null;
        await device.ResizeAsync(256 << 10);
        gate.SetResult();
        await late;
        await device.ResizeAsync(1 << 20);

        byte[] read = new byte[64 << 10];
        await device.ReadAsync(256 << 10, read);
        Assert.That(read, Has.All.Zero);
    }

    private static async Task UseAsync(Qcow2BlockDevice device, byte[] contents, int task)
    {
        Random random = new(task);
        for (int i = 0; i < 250; i++)
        {
            int sector = (random.Next(Sectors / Tasks) * Tasks) + task;
            byte[] data = new byte[512];
            switch (random.Next(10))
            {
                case 0:
                    await device.FlushAsync();
                    break;
                case 1 or 2:
                    await device.WriteZeroesAsync(sector * 512, 512, mayDiscard: true);
                    data.CopyTo(contents, sector * 512);
                    break;
                case < 7:
                    random.NextBytes(data);
                    await device.WriteAsync(sector * 512, data);
                    data.CopyTo(contents, sector * 512);
                    break;
                default:
                    await device.ReadAsync(sector * 512, data);
                    Assert.That(data.AsSpan().SequenceEqual(contents.AsSpan(sector * 512, 512)), $"sector {sector}");
                    break;
            }
        }
    }

    private static byte[] Filled(byte value) => [.. Enumerable.Repeat(value, 64 << 10)];
}
