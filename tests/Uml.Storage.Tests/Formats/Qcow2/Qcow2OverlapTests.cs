using System.Buffers.Binary;
using Uml.Storage.Blocks;
using Uml.Storage.Formats.Qcow2;

namespace Uml.Storage.Tests.Formats.Qcow2;

/// <summary>Images whose tables or counts say that data may go where the image's own structures are.</summary>
public sealed class Qcow2OverlapTests
{
    private const int ClusterSize = 65536;
    private const ulong Copied = 1UL << 63;

    private TemporaryFolder _folder = null!;
    private byte[] _image = null!;

    private string Disk => _folder["disk"];

    private ulong RefcountTable => Get(48);

    private ulong RefcountBlock => Get((int)RefcountTable);

    private ulong L1 => Get(40);

    private ulong L2 => Get((int)L1) & ~Copied;

    [SetUp]
    public async Task MakeImage()
    {
        _folder = new TemporaryFolder();
        Qcow2BlockDevice.Create(Disk, 1L << 30);
        await using (Qcow2BlockDevice device = Qcow2BlockDevice.Open(Disk))
        {
            await device.WriteAsync(0, Filled(1, 4 * ClusterSize));
            await device.WriteAsync(600 << 20, Filled(2, ClusterSize));
        }

        _image = File.ReadAllBytes(Disk);
    }

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [Test]
    public async Task Data_are_not_written_over_structures_that_an_L2_entry_points_to(
        [Values("refcount table", "refcount block", "L1", "L2", "other L2")] string what, [Values("write", "part", "zero", "discard")] string how)
    {
        ulong place = what switch
        {
            "refcount table" => RefcountTable,
            "refcount block" => RefcountBlock,
            "L1" => L1,
            "L2" => L2,
            _ => Get((int)L1 + 8) & ~Copied,
        };
        Set((int)L2 + 8, place | Copied);
        File.WriteAllBytes(Disk, _image);

        await AssertIsRefusedAsync(device => how switch
        {
            "write" => device.WriteAsync(ClusterSize, Filled(9, ClusterSize)),
            "part" => device.WriteAsync(ClusterSize + 512, Filled(9, 4096)),
            "zero" => device.WriteZeroesAsync(ClusterSize, ClusterSize, mayDiscard: true),
            _ => device.DiscardAsync(0, 4 * ClusterSize),
        }, $"{place}");
    }

    [Test]
    public async Task What_an_entry_without_the_flag_points_to_is_not_freed()
    {
        Set((int)L2 + 8, RefcountBlock);
        File.WriteAllBytes(Disk, _image);

        await AssertIsRefusedAsync(device => device.WriteAsync(ClusterSize, Filled(9, ClusterSize)), $"{RefcountBlock}");
    }

    [Test]
    public async Task A_structure_that_is_counted_as_free_is_not_given_to_data([Values(0, 1, 2, 3)] int cluster)
    {
        BinaryPrimitives.WriteUInt16BigEndian(_image.AsSpan((int)RefcountBlock + (2 * cluster)), 0);
        File.WriteAllBytes(Disk, _image);

        await AssertIsRefusedAsync(device => device.WriteAsync(100L << 20, Filled(9, ClusterSize)), $"{cluster * ClusterSize}");
    }

    [Test]
    public async Task A_table_is_not_written_where_another_structure_is()
    {
        Set((int)L1, RefcountTable | Copied);
        File.WriteAllBytes(Disk, _image);

        await AssertIsRefusedAsync(device => device.WriteAsync(10L << 20, Filled(9, ClusterSize)), $"{RefcountTable}");
    }

    [Test]
    public async Task What_was_written_before_damage_was_found_is_kept()
    {
        Set((int)L2 + 8, RefcountTable | Copied);
        File.WriteAllBytes(Disk, _image);
        await using (Qcow2BlockDevice device = Qcow2BlockDevice.Open(Disk))
        {
            await device.WriteAsync(700L << 20, Filled(7, ClusterSize));
            await Failure.OfAsync(() => device.WriteAsync(ClusterSize, Filled(9, 512)));
            await device.FlushAsync();
        }

        await using Qcow2BlockDevice again = Qcow2BlockDevice.Open(Disk, new Qcow2Options { IsReadOnly = true });
        byte[] read = new byte[ClusterSize];
        await again.ReadAsync(700L << 20, read);
        Assert.That(read, Has.All.EqualTo(7));
    }

    [Test]
    public async Task QEMU_finds_the_mark_and_repairs_the_image()
    {
        Set((int)L2 + 8, L1 | Copied);
        File.WriteAllBytes(Disk, _image);
        await AssertIsRefusedAsync(device => device.WriteAsync(ClusterSize, Filled(9, ClusterSize)), $"{L1}");

        Assert.That(QemuImage.Run("info", "-f", "qcow2", Disk), Does.Contain("corrupt: true"));
        (int code, string output) = PeerTool.TryRun("qemu-utils", "qemu-img", "check", "-f", "qcow2", Disk);
        Assert.That(code, Is.EqualTo(2), output);
        PeerTool.TryRun("qemu-utils", "qemu-img", "check", "-r", "all", "-f", "qcow2", Disk);
        QemuImage.AssertUsable(Disk);
    }

    /// <summary>Asserts that the request is refused, that nothing but the mark has changed in the structures, and that the image is not written again.</summary>
    private async Task AssertIsRefusedAsync(Func<Qcow2BlockDevice, ValueTask> request, string place)
    {
        await using (Qcow2BlockDevice device = Qcow2BlockDevice.Open(Disk))
        {
            BlockIOException failure = await Failure.OfAsync(() => request(device));
            Assert.That(failure.Message, Does.Contain("is damaged").And.Contain(place));
            Assert.That((await Failure.OfAsync(() => device.WriteAsync(600 << 20, Filled(9, 512)))).Message, Does.Contain("nothing is written"));
            await device.ReadAsync(600 << 20, new byte[512]);
        }

        byte[] after = File.ReadAllBytes(Disk);
        Assert.That(after[79] & 2, Is.EqualTo(2), "the mark");
        after[79] &= 0xFD;
        foreach (ulong structure in (ulong[])[0, RefcountTable, L1])
        {
            Assert.That(after.AsSpan((int)structure, ClusterSize).SequenceEqual(_image.AsSpan((int)structure, ClusterSize)), $"the structure at {structure}");
        }

        Assert.That(() => Qcow2BlockDevice.Open(Disk), Throws.InstanceOf<DiskImageException>().With.Message.Contains("marked as damaged"));
    }

    private static byte[] Filled(byte value, int length) => [.. Enumerable.Repeat(value, length)];

    private ulong Get(int at) => BinaryPrimitives.ReadUInt64BigEndian(_image.AsSpan(at));

    private void Set(int at, ulong value) => BinaryPrimitives.WriteUInt64BigEndian(_image.AsSpan(at), value);
}
