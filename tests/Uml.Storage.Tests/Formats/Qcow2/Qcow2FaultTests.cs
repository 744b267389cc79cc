using Uml.Storage.Blocks;
using Uml.Storage.Files;
using Uml.Storage.Formats.Qcow2;
using Uml.Storage.Tests.Files;

namespace Uml.Storage.Tests.Formats.Qcow2;

/// <summary>Errors of the storage in the middle of requests.</summary>
public sealed class Qcow2FaultTests
{
    private const int DiskLength = 1 << 20;

    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [Test]
    public async Task A_storage_that_is_full_now_and_then_loses_nothing_that_was_acknowledged(
        [Values(512, 4096, 65536)] int clusterSize, [Values(1, 2, 3, 4)] int seed)
    {
        Random random = new(seed);
        PowerCutFile file = MakeFile(clusterSize);
        file.Before = operation =>
        {
            if (operation != HostFileOperation.Flush && random.Next(15) == 0)
            {
                throw new BlockIOException("The storage is full.", BlockError.NoSpace);
            }
        };

        byte[] contents = new byte[DiskLength];
        bool[] isUnknown = new bool[DiskLength / 512];
        Qcow2BlockDevice device = Qcow2BlockDevice.Open(file, new Qcow2Options { CacheBytes = 0 }, []);
        int failures = 0;
        for (int i = 0; i < 300; i++)
        {
            failures += await TryOneAsync(device, contents, isUnknown, random) ? 0 : 1;
        }

        file.Before = null;
        await AssertContentsAsync(device, contents, isUnknown);
        await device.DisposeAsync();
        Assert.That(failures, Is.GreaterThan(10));
        Qcow2CheckResult result = Qcow2Check.Run(file);
        Assert.That(result.Corruptions, Is.Zero, string.Join('\n', result.Messages));
        await using Qcow2BlockDevice again = Qcow2BlockDevice.Open(file, new Qcow2Options(), []);
        await AssertContentsAsync(again, contents, isUnknown);
    }

    [Test]
    public async Task No_flush_succeeds_after_one_that_failed()
    {
        PowerCutFile file = MakeFile(4096);
        Qcow2BlockDevice device = Qcow2BlockDevice.Open(file, new Qcow2Options(), []);
        await device.WriteAsync(0, new byte[4096]);
        file.Before = operation =>
        {
            if (operation == HostFileOperation.Flush)
            {
                throw new BlockIOException("The storage is gone.");
            }
        };
        Assert.That(async () => await device.FlushAsync(), Throws.InstanceOf<BlockIOException>());
        file.Before = null;

        Assert.That(async () => await device.FlushAsync(), Throws.InstanceOf<BlockIOException>());
        Assert.That(async () => await device.DisposeAsync(), Throws.InstanceOf<BlockIOException>());
        Assert.That(Qcow2Check.Run(file).Corruptions, Is.Zero);
    }

    private static async Task<bool> TryOneAsync(Qcow2BlockDevice device, byte[] contents, bool[] isUnknown, Random random)
    {
        int first = random.Next(DiskLength / 512);
        int count = Math.Min((DiskLength / 512) - first, 1 + random.Next(random.Next(3) == 0 ? 200 : 8));
        byte[] data = new byte[count * 512];
        int kind = random.Next(8);
        try
        {
            switch (kind)
            {
                case 0: await device.FlushAsync(); return true;
                case 1: await device.WriteZeroesAsync(first * 512, count * 512, mayDiscard: true); break;
                default:
                    random.NextBytes(data);
                    await device.WriteAsync(first * 512, data);
                    break;
            }

            data.CopyTo(contents, first * 512);
            isUnknown.AsSpan(first, count).Clear();
            return true;
        }
        catch (BlockIOException)
        {
            if (kind != 0)
            {
                isUnknown.AsSpan(first, count).Fill(true);
            }

            return false;
        }
    }

    private static async Task AssertContentsAsync(Qcow2BlockDevice device, byte[] contents, bool[] isUnknown)
    {
        byte[] read = new byte[DiskLength];
        await device.ReadAsync(0, read);
        for (int i = 0; i < isUnknown.Length; i++)
        {
            Assert.That(isUnknown[i] || read.AsSpan(i * 512, 512).SequenceEqual(contents.AsSpan(i * 512, 512)), $"sector {i}");
        }
    }

    private PowerCutFile MakeFile(int clusterSize)
    {
        Qcow2BlockDevice.Create(_folder["disk"], DiskLength, new Qcow2CreateOptions { ClusterSize = clusterSize });
        return new PowerCutFile(File.ReadAllBytes(_folder["disk"]));
    }
}
