using System.Diagnostics.CodeAnalysis;
using Uml.Storage.Blocks;
using Uml.Storage.Formats.Raw;

namespace Uml.Storage.Tests.Formats.Raw;

public sealed class RawBlockDeviceTests
{
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [Test]
    public async Task Requests_past_the_page_cache_need_not_be_aligned_in_memory()
    {
        RawBlockDevice.Create(_folder["disk"], 2 << 20);
        await using RawBlockDevice device = OpenDirectOrIgnore();
        Random random = new(1);
        byte[] all = new byte[device.Length];
        for (int i = 0; i < 60; i++)
        {
            int block = random.Next((int)device.Length / 4096);
            byte[] data = new byte[4096 + 1];
            random.NextBytes(data);
            data.AsSpan(1).CopyTo(all.AsSpan(block * 4096));

            // Neither aligned nor in one piece.
            await device.WriteAsync(block * 4096L, new BlockBuffers(new Memory<byte>[] { data.AsMemory(1, 1000), data.AsMemory(1001) }));
        }

        byte[] read = new byte[device.Length];
        await device.ReadAsync(0, read);
        Assert.That(read, Is.EqualTo(all));
    }

    [Test]
    public async Task A_new_image_takes_no_room_and_a_discard_gives_it_back()
    {
        RawBlockDevice.Create(_folder["disk"], 1L << 40);
        await using RawBlockDevice device = RawBlockDevice.Open(_folder["disk"]);
        Assert.That(RoomOf("disk"), Is.LessThan(64 << 10));

        await device.WriteAsync(1L << 39, new byte[1 << 20]);
        await device.FlushAsync();
        Assert.That(RoomOf("disk"), Is.GreaterThanOrEqualTo(1 << 20));

        await device.DiscardAsync(1L << 39, 1 << 20);
        await device.FlushAsync();
        Assert.That(RoomOf("disk"), Is.LessThan(64 << 10));
    }

    [Test]
    public async Task Without_discards_room_is_kept()
    {
        RawBlockDevice.Create(_folder["disk"], 1 << 20);
        await using RawBlockDevice device = RawBlockDevice.Open(_folder["disk"], new RawImageOptions { Discards = false });
        byte[] data = [.. Enumerable.Repeat((byte)1, 1 << 16)];
        await device.WriteAsync(0, data);
        await device.DiscardAsync(0, 1 << 16);
        byte[] read = new byte[1 << 16];
        await device.ReadAsync(0, read);

        Assert.That(read, Is.EqualTo(data));
        Assert.That(((IBlockDevice)device).GetCapability<IDiscardable>(), Is.Null);
        Assert.That(((IBlockDevice)device).GetCapability<IFlushable>(), Is.Not.Null);
    }

    [Test]
    public async Task A_file_that_ends_within_a_sector_reads_zeroes_behind_its_end_and_grows_when_that_is_written()
    {
        await File.WriteAllBytesAsync(_folder["disk"], [.. Enumerable.Repeat((byte)9, 700)]);
        await using RawBlockDevice device = RawBlockDevice.Open(_folder["disk"]);
        byte[] read = [.. Enumerable.Repeat((byte)1, 1024)];
        await device.ReadAsync(0, read);
        Assert.That(device.Length, Is.EqualTo(1024));
        Assert.That(read[..700], Has.All.EqualTo(9));
        Assert.That(read[700..], Has.All.Zero);

        byte[] last = [.. Enumerable.Repeat((byte)5, 512)];
        await device.WriteAsync(512, last);
        await device.ReadAsync(512, read.AsMemory(0, 512));
        Assert.That(read[..512], Is.EqualTo(last));
        Assert.That(new FileInfo(_folder["disk"]).Length, Is.EqualTo(1024));
    }

    [Test]
    public async Task A_file_cut_off_while_it_is_used_is_an_error_of_the_request()
    {
        RawBlockDevice.Create(_folder["disk"], 1 << 20);
        await using RawBlockDevice device = RawBlockDevice.Open(_folder["disk"]);
        using (FileStream file = File.OpenWrite(_folder["disk"]))
        {
            file.SetLength(4096);
        }

        Assert.That(async () => await device.ReadAsync(0, new byte[8192]), Throws.InstanceOf<BlockIOException>().With.Message.Contains("at 4096 now"));
        await device.ReadAsync(0, new byte[4096]);
    }

    [Test]
    public async Task A_second_writer_is_refused_and_named()
    {
        RawBlockDevice.Create(_folder["disk"], 4096);
        await using RawBlockDevice first = RawBlockDevice.Open(_folder["disk"]);

        Assert.That(() => RawBlockDevice.Open(_folder["disk"]), Throws.InstanceOf<DiskImageException>().With.Message.Contains(_folder["disk"]).And.Message.Contains("in use by"));
        Assert.That(() => RawBlockDevice.Open(_folder["disk"], new RawImageOptions { IsReadOnly = true }), Throws.InstanceOf<DiskImageException>());
        await using RawBlockDevice shared = RawBlockDevice.Open(_folder["disk"], new RawImageOptions { Locks = false });
    }

    [Test]
    public async Task Any_number_may_read_an_image()
    {
        RawBlockDevice.Create(_folder["disk"], 4096);
        RawImageOptions options = new() { IsReadOnly = true };
        await using RawBlockDevice first = RawBlockDevice.Open(_folder["disk"], options);
        await using RawBlockDevice second = RawBlockDevice.Open(_folder["disk"], options);

        Assert.That(() => RawBlockDevice.Open(_folder["disk"]), Throws.InstanceOf<DiskImageException>());
        Assert.That(async () => await second.WriteAsync(0, new byte[512]), Throws.InstanceOf<BlockIOException>());
    }

    [Test]
    public async Task An_image_can_be_opened_again_once_it_is_closed()
    {
        RawBlockDevice.Create(_folder["disk"], 4096);
        await (RawBlockDevice.Open(_folder["disk"])).DisposeAsync();
        await using RawBlockDevice again = RawBlockDevice.Open(_folder["disk"]);
    }

    [Test]
    public async Task A_request_to_a_closed_image_fails()
    {
        RawBlockDevice.Create(_folder["disk"], 4096);
        RawBlockDevice device = RawBlockDevice.Open(_folder["disk"]);
        await device.DisposeAsync();
        Assert.That(async () => await device.ReadAsync(0, new byte[512]), Throws.InstanceOf<BlockIOException>());
        Assert.That(async () => await device.WriteAsync(0, new byte[512]), Throws.InstanceOf<BlockIOException>());
        Assert.That(async () => await device.FlushAsync(), Throws.InstanceOf<BlockIOException>());
    }

    [Test]
    public void Errors_say_what_to_do()
    {
        Assert.That(() => RawBlockDevice.Open(_folder["none"]), Throws.InstanceOf<DiskImageException>().With.Message.Contains("There is no file").And.Message.Contains("make the image first"));
        Assert.That(() => RawBlockDevice.Open(_folder["."]), Throws.InstanceOf<DiskImageException>().With.Message.Contains("name the image itself"));
        Assert.That(() => RawBlockDevice.Open("/dev/null"), Throws.InstanceOf<DiskImageException>().With.Message.Contains("neither a file nor a block device"));
        RawBlockDevice.Create(_folder["disk"], 512);
        Assert.That(() => RawBlockDevice.Create(_folder["disk"], 512), Throws.InstanceOf<DiskImageException>().With.Message.Contains("there already"));
        Assert.That(() => RawBlockDevice.Create(_folder["x/disk"], 512), Throws.InstanceOf<DiskImageException>().With.Message.Contains("folder is not there"));
        Assert.That(() => RawBlockDevice.Create(_folder["large"], long.MaxValue / 512 * 512), Throws.InstanceOf<DiskImageException>());
        Assert.That(File.Exists(_folder["large"]), Is.False);
    }

    [Test]
    public async Task A_pipe_is_refused_and_nobody_is_waited_for()
    {
        PeerTool.Run("coreutils", "mkfifo", _folder["pipe"]);
        Func<RawBlockDevice> open = () => RawBlockDevice.Open(_folder["pipe"], new RawImageOptions { IsReadOnly = true });
        Task<DiskImageException> refusal = Task.Run(() => Assert.Throws<DiskImageException>(() => open())!);

        Assert.That((await refusal.WaitAsync(TimeSpan.FromSeconds(20))).Message, Does.Contain("neither a file nor a block device"));
    }

    [Test]
    public async Task An_image_can_be_resized()
    {
        RawBlockDevice.Create(_folder["disk"], 4096);
        await using RawBlockDevice device = RawBlockDevice.Open(_folder["disk"]);
        int changes = 0;
        device.Resized += (_, _) => changes++;
        await device.ResizeAsync(8192);
        await device.WriteAsync(4096, new byte[4096]);
        await device.ResizeAsync(512);

        Assert.That(device.Length, Is.EqualTo(512));
        Assert.That(changes, Is.EqualTo(2));
        Assert.That(async () => await device.ResizeAsync(100), Throws.InstanceOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public async Task Requests_in_steady_state_allocate_nothing()
    {
        RawBlockDevice.Create(_folder["disk"], 1 << 20);
        await using RawBlockDevice device = RawBlockDevice.Open(_folder["disk"]);
        byte[] data = new byte[8192];
        Memory<byte>[] pieces = [data.AsMemory(0, 4096), data.AsMemory(4096, 4096)];
        Transfer(device, pieces, 100);
        long before = GC.GetAllocatedBytesForCurrentThread();
        int done = Transfer(device, pieces, 1000);
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;

        // One that had to wait after all is not awaited here, and so not used again. The runtime allocates a little once.
        Assert.That(done, Is.GreaterThan(1900));
        Assert.That(allocated, Is.LessThan(1000 + ((2000 - done) * 1024L)), $"{done} of 2000 at once");
    }

    /// <returns>How many requests were done before the call returned: all, since the host has the file in its page cache.</returns>
    [SuppressMessage("Reliability", "CA2012", Justification = "A request that is not done at once is the failure that is looked for.")]
    private static int Transfer(RawBlockDevice device, Memory<byte>[] pieces, int count)
    {
        int done = 0;
        for (int i = 0; i < count; i++)
        {
            ValueTask write = device.WriteAsync(4096, new BlockBuffers(pieces));
            done += write.IsCompletedSuccessfully ? 1 : 0;
            ValueTask read = device.ReadAsync(4096, new BlockBuffers(pieces));
            done += read.IsCompletedSuccessfully ? 1 : 0;
        }

        return done;
    }

    private RawBlockDevice OpenDirectOrIgnore()
    {
        try
        {
            return RawBlockDevice.Open(_folder["disk"], new RawImageOptions { IsDirect = true });
        }
        catch (DiskImageException e) when (e.Message.Contains("no direct access", StringComparison.Ordinal))
        {
            Assert.Ignore(e.Message);
            throw;
        }
    }

    private long RoomOf(string name) =>
        long.Parse(PeerTool.Run("coreutils", "stat", "-c", "%b", _folder[name]), System.Globalization.CultureInfo.InvariantCulture) * 512;
}
