using System.Buffers.Binary;
using Uml.Storage.Blocks;
using Uml.Storage.Formats.Qcow2;
using Uml.Storage.Tests.Files;

namespace Uml.Storage.Tests.Formats.Qcow2;

/// <summary>Headers and tables that nobody should write: each is refused with a sentence, and takes neither memory nor time.</summary>
public sealed class Qcow2HostileTests
{
    private const int ClusterSize = 65536;

    private TemporaryFolder _folder = null!;
    private byte[] _image = null!;

    [SetUp]
    public void MakeImage()
    {
        _folder = new TemporaryFolder();
        Qcow2BlockDevice.Create(_folder["disk"], 1 << 20);
        _image = File.ReadAllBytes(_folder["disk"]);
    }

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [TestCase(0, 4, 0x51464900UL, "no magic number")]
    [TestCase(4, 4, 1UL, "version is 1")]
    [TestCase(4, 4, 4UL, "version is 4")]
    [TestCase(8, 8, 65530UL, "path of its backing file")]
    [TestCase(8, 8, ulong.MaxValue, "path of its backing file")]
    [TestCase(20, 4, 8UL, "clusters have 2^8 bytes")]
    [TestCase(20, 4, 22UL, "clusters have 2^22 bytes")]
    [TestCase(24, 8, ulong.MaxValue, "more than there can be")]
    [TestCase(24, 8, 1UL << 40, "L1 table has 1 entries")]
    [TestCase(32, 4, 1UL, "is encrypted (method 1)")]
    [TestCase(32, 4, 2UL, "is encrypted (method 2)")]
    [TestCase(36, 4, 0xFFFF_FFFFUL, "4294967295 entries of the L1 table")]
    [TestCase(36, 4, 4UL << 20, "L1 table, 33554432 bytes")]
    [TestCase(40, 8, 0UL, "behind the header")]
    [TestCase(40, 8, 513UL, "L1 table, 8 bytes at 513")]
    [TestCase(40, 8, 1UL << 40, "L1 table, 8 bytes at 1099511627776")]
    [TestCase(40, 8, 0x8000_0000_0001_0000UL, "L1 table, 8 bytes at -9223372036854710272")]
    [TestCase(40, 8, 65536UL, "overlap")]
    [TestCase(48, 8, 0UL, "refcount table")]
    [TestCase(48, 8, ulong.MaxValue << 16, "refcount table")]
    [TestCase(56, 4, 0UL, "no refcount table")]
    [TestCase(56, 4, 0x7FFF_FFFFUL, "clusters of the refcount table")]
    [TestCase(60, 4, 0xFFFF_FFFFUL, "4294967295 snapshots")]
    [TestCase(60, 4, 3UL, "snapshot table")]
    [TestCase(72, 8, 1UL << 63, "the unknown incompatible feature 63")]
    [TestCase(72, 8, 4UL, "an external data file")]
    [TestCase(72, 8, 16UL, "subclusters")]
    [TestCase(72, 8, 8UL, "type of compression is 0")]
    [TestCase(72, 8, 2UL, "marked as damaged")]
    [TestCase(96, 4, 7UL, "2^7 bits")]
    [TestCase(100, 4, 72UL, "header has 72 bytes")]
    [TestCase(100, 4, 108UL, "header has 108 bytes")]
    [TestCase(100, 4, 1UL << 20, "header has 1048576 bytes")]
    public void A_header_that_cannot_be_is_refused_with_its_numbers(int at, int size, ulong value, string message)
    {
        Set(at, size, value);
        Assert.That(() => Open(), Throws.InstanceOf<DiskImageException>().With.Message.Contains(message));
    }

    [Test]
    public void A_header_extension_that_does_not_end_is_refused()
    {
        Set(104, 4, 0x1234);
        Set(108, 4, 0xFFFF_FFF0);
        Assert.That(() => Open(), Throws.InstanceOf<DiskImageException>().With.Message.Contains("00001234H of 4294967280 bytes"));
    }

    [Test]
    public void An_unknown_feature_is_named_as_the_file_does()
    {
        Set(72, 8, 1UL << 40);
        Set(104, 4, 0x6803_F857);
        Set(108, 4, 48);
        _image[113] = 40;
        "time travel"u8.CopyTo(_image.AsSpan(114));
        Assert.That(() => Open(), Throws.InstanceOf<DiskImageException>().With.Message.Contains("the feature 'time travel'"));
    }

    [Test]
    public void A_file_that_ends_anywhere_is_refused_or_used()
    {
        for (int length = 0; length < 2 * ClusterSize; length += length < 600 ? 1 : 997)
        {
            PowerCutFile file = new(_image[..length]);
            Assert.That(() => Qcow2BlockDevice.Open(file, new Qcow2Options(), []), Throws.InstanceOf<DiskImageException>(), $"{length}");
        }
    }

    [TestCase(0x8000_0000_0000_0200UL, "L1 table is")]
    [TestCase(0x0000_0000_0000_0001UL, null)]
    public async Task An_l1_entry_that_points_nowhere_is_an_error_of_the_request(ulong entry, string? message)
    {
        Set(3 * ClusterSize, 8, entry);
        await using Qcow2BlockDevice device = Open();
        byte[] read = new byte[512];
        if (message is null)
        {
            await device.ReadAsync(0, read);
            return;
        }

        Assert.That(async () => await device.ReadAsync(0, read), Throws.InstanceOf<BlockIOException>().With.Message.Contains(message));
        Assert.That(async () => await device.WriteAsync(0, read), Throws.InstanceOf<BlockIOException>());
    }

    [Test]
    public async Task Counts_that_have_the_header_free_are_an_error_of_the_write_and_leave_the_header()
    {
        Set(ClusterSize, 8, 0);
        PowerCutFile file = new(_image);
        Qcow2BlockDevice device = Qcow2BlockDevice.Open(file, new Qcow2Options(), []);

        Assert.That(async () => await device.WriteAsync(0, new byte[512]), Throws.InstanceOf<BlockIOException>().With.Message.Contains("its first clusters are free"));
        await device.DisposeAsync();
        Assert.That(file.Contents[..512], Is.EqualTo(_image[..512]));
    }

    [Test]
    public void A_name_of_the_image_below_that_no_file_can_have_is_refused()
    {
        Set(8, 8, 512);
        Set(16, 4, 4);
        "/a\0b"u8.CopyTo(_image.AsSpan(512));
        Assert.That(() => Open(), Throws.InstanceOf<DiskImageException>().With.Message.Contains("has a zero in it"));
    }

    [Test]
    public async Task Random_damage_leads_to_typed_errors_only([Range(1, 40)] int seed)
    {
        Random random = new(seed);
        byte[] contents = new byte[1 << 20];
        random.NextBytes(contents);
        await using (Qcow2BlockDevice device = Qcow2BlockDevice.Open(_folder["disk"]))
        {
            await device.WriteAsync(0, contents);
        }

        _image = await File.ReadAllBytesAsync(_folder["disk"]);
        for (int i = 0; i < 8; i++)
        {
            // In the header, the refcount table and its block, the L1 table and the L2 table behind it.
            int cluster = random.Next(5);
            int at = (cluster * ClusterSize) + (8 * random.Next(cluster == 0 ? 13 : 20));
            BinaryPrimitives.WriteUInt64BigEndian(_image.AsSpan(at), random.Next(3) switch
            {
                0 => (ulong)random.NextInt64(),
                1 => (ulong)random.Next(40) * ClusterSize,
                _ => BinaryPrimitives.ReadUInt64BigEndian(_image.AsSpan(at)) ^ (1UL << random.Next(64)),
            });
        }

        try
        {
            PowerCutFile file = new(_image);
            await UseAsync(file, random);
            Qcow2Check.Run(file);
            Qcow2Check.Repair(file);
        }
        catch (DiskImageException e)
        {
            Assert.That(e.Message, Is.Not.Empty);
        }
    }

    private static async Task UseAsync(PowerCutFile file, Random random)
    {
        Qcow2BlockDevice device = Qcow2BlockDevice.Open(file, new Qcow2Options(), []);
        for (int i = 0; i < 60; i++)
        {
            int first = random.Next((int)Math.Min(device.Length / 512, 2000));
            byte[] data = new byte[512 * (int)Math.Clamp((device.Length / 512) - first, 0, 1 + random.Next(200))];
            try
            {
                switch (random.Next(4))
                {
                    case 0: await device.ReadAsync(first * 512, data); break;
                    case 1: await device.FlushAsync(); break;
                    case 2: await device.WriteZeroesAsync(first * 512, data.Length, mayDiscard: true); break;
                    default: await device.WriteAsync(first * 512, data); break;
                }
            }
            catch (BlockIOException e)
            {
                Assert.That(e.Message, Is.Not.Empty);
            }
        }

        try
        {
            await device.DisposeAsync();
        }
        catch (BlockIOException e)
        {
            Assert.That(e.Message, Is.Not.Empty);
        }
    }

    private Qcow2BlockDevice Open() => Qcow2BlockDevice.Open(new PowerCutFile(_image), new Qcow2Options(), []);

    private void Set(int at, int size, ulong value)
    {
        if (size == 8)
        {
            BinaryPrimitives.WriteUInt64BigEndian(_image.AsSpan(at), value);
        }
        else
        {
            BinaryPrimitives.WriteUInt32BigEndian(_image.AsSpan(at), (uint)value);
        }
    }
}
