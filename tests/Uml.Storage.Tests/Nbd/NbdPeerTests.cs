using System.Diagnostics;
using Uml.Storage.Blocks;
using Uml.Storage.Formats.Raw;
using Uml.Storage.Nbd.Client;
using Uml.Storage.Nbd.Server;

namespace Uml.Storage.Tests.Nbd;

/// <summary>With the servers and clients of others.</summary>
public sealed class NbdPeerTests
{
    private NbdRig _rig = null!;

    [SetUp]
    public void MakeRig() => _rig = new NbdRig();

    [TearDown]
    public async Task DisposeRig() => await _rig.DisposeAsync();

    [Test, CancelAfter(120_000)]
    public async Task Our_client_uses_QEMUs_server()
    {
        File.WriteAllBytes(_rig.Folder["image"], new byte[4 << 20]);
        BlockModel model;
        using (PeerServer peer = StartQemu("raw", "image"))
        {
            await using NbdBlockDevice device = await _rig.ConnectAsync();
            Assert.That(((IBlockDevice)device).GetCapability<IZeroable>(), Is.Not.Null);
            model = new(device, new byte[device.Length], 1);
            await model.RunAsync(600);
            await model.CheckAsync();
            await device.FlushAsync();
        }

        Assert.That(File.ReadAllBytes(_rig.Folder["image"]).AsSpan().SequenceEqual(model.Contents));
    }

    [Test, CancelAfter(120_000)]
    public async Task Our_client_uses_nbdkit_with_and_without_structured_replies([Values] bool isPlain)
    {
        using PeerServer peer = StartKit([.. isPlain ? ["--no-sr"] : Array.Empty<string>(), "memory", "4M"]);
        await using NbdBlockDevice device = await _rig.ConnectAsync();
        BlockModel model = new(device, new byte[device.Length], 2);
        await model.RunAsync(600);
        await model.CheckAsync();
    }

    [Test, CancelAfter(120_000)]
    public async Task Our_client_splits_requests_for_nbdkits_block_sizes()
    {
        using PeerServer peer = StartKit("--filter=blocksize-policy", "memory", "4M",
            "blocksize-minimum=4096", "blocksize-preferred=8192", "blocksize-maximum=65536", "blocksize-error-policy=error");
        await using NbdBlockDevice device = await _rig.ConnectAsync();
        Assert.That(device.Limits, Is.EqualTo(new BlockLimits(4096, 8192, 8192)));
        byte[] data = new byte[1 << 20], read = new byte[1 << 20];
        Random.Shared.NextBytes(data);
        await device.WriteAsync(4096, data);
        await device.ReadAsync(4096, read);
        Assert.That(read.AsSpan().SequenceEqual(data));
    }

    [Test, CancelAfter(120_000)]
    public async Task Errors_of_nbdkit_arrive_as_what_they_are()
    {
        using PeerServer peer = StartKit("--filter=error", "memory", "1M", "error-pwrite=ENOSPC", "error-pwrite-rate=1", "error-trim=EPERM", "error-trim-rate=1");
        await using NbdBlockDevice device = await _rig.ConnectAsync();
        Assert.That(async () => await device.WriteAsync(0, new byte[512]), Throws.InstanceOf<BlockIOException>().With.Property("Error").EqualTo(BlockError.NoSpace));
        Assert.That(async () => await device.DiscardAsync(0, 512), Throws.InstanceOf<BlockIOException>().With.Property("Error").EqualTo(BlockError.ReadOnly));
        await device.ReadAsync(0, new byte[512]);
    }

    [Test, CancelAfter(120_000)]
    public async Task Many_requests_are_under_way_at_once_at_a_slow_server()
    {
        using PeerServer peer = StartKit("--filter=delay", "-t", "32", "memory", "1M", "rdelay=200ms");
        await using NbdBlockDevice device = await _rig.ConnectAsync();
        Stopwatch time = Stopwatch.StartNew();
        await Task.WhenAll(Enumerable.Range(0, 32).Select(i => device.ReadAsync(i * 512, new byte[512]).AsTask()));
        Assert.That(time.Elapsed.TotalSeconds, Is.LessThan(3), "32 reads of 0.2 s");
    }

    [Test, CancelAfter(120_000)]
    public async Task A_server_that_is_killed_under_load_and_started_again_loses_nothing()
    {
        File.WriteAllBytes(_rig.Folder["image"], new byte[4 << 20]);
        PeerServer peer = StartQemu("raw", "image");
        try
        {
            await using NbdBlockDevice device = await _rig.ConnectAsync(new NbdClientOptions { ReconnectDelay = TimeSpan.FromMilliseconds(20) });
            BlockModel model = new(device, new byte[device.Length], 3);
            using CancellationTokenSource end = new();
            Task work = Task.Run(async () =>
            {
                while (!end.IsCancellationRequested)
                {
                    await model.RunAsync(50);
                }
            });
            for (int i = 0; i < 4; i++)
            {
                await Task.Delay(150);
                peer.Dispose();
                File.Delete(_rig.Socket);
                peer = StartQemu("raw", "image");
            }

            await end.CancelAsync();
            await work;
            await model.CheckAsync();
        }
        finally
        {
            peer.Dispose();
        }
    }

    [Test, CancelAfter(120_000)]
    public async Task QEMUs_tools_use_our_server()
    {
        RawBlockDevice.Create(_rig.Folder["image"], 4 << 20);
        await using RawBlockDevice raw = RawBlockDevice.Open(_rig.Folder["image"]);
        _rig.Start(raw);
        string io = PeerTool.Run("qemu-utils", "qemu-io", "-f", "raw", "-c", "write -P 5 0 1M", "-c", "write -f -P 6 1M 64k", "-c", "write -z 512 4096", "-c", "write -z -u 64k 64k",
            "-c", "discard 2M 1M", "-c", "flush", "-c", "read -P 5 8192 4096", "-c", "read -P 0 512 4096", "-c", "read -P 6 1M 64k", "-c", "aio_read 0 2M", Uri);
        Assert.That(io, Does.Not.Contain("failed").And.Not.Contain("rror").And.Contain("read 2097152/2097152"));
        Assert.That(PeerTool.Run("qemu-utils", "qemu-img", "info", Uri), Does.Contain("4 MiB (4194304 bytes)"));
        PeerTool.Run("qemu-utils", "qemu-img", "convert", "-f", "raw", "-O", "raw", Uri, _rig.Folder["copy"]);
        Assert.That(PeerTool.Run("qemu-utils", "qemu-img", "compare", "-f", "raw", "-F", "raw", Uri, _rig.Folder["copy"]), Does.Contain("identical"));
    }

    [Test, CancelAfter(120_000)]
    public async Task Nbdinfo_lists_what_our_server_has()
    {
        await using MemoryBlockDevice memory = new(1 << 20);
        _rig.Start(memory, options => options with
        {
            Exports = [new NbdExport(memory, "disk") { Description = "the first" }, new NbdExport(memory, "ä") { IsReadOnly = true }],
        });
        string list = PeerTool.Run("libnbd-bin", "nbdinfo", "--list", $"nbd+unix:///?socket={_rig.Socket}");
        Assert.That(list, Does.Contain("export=\"disk\"").And.Contain("the first").And.Contain("export=\"ä\""));
        Assert.That(list, Does.Contain("structured packets").And.Contain("export-size: 1048576"));
        string info = PeerTool.Run("libnbd-bin", "nbdinfo", Uri);
        Assert.That(info, Does.Contain("is_read_only: false").And.Contain("can_multi_conn: true").And.Contain("can_fua: true").And.Contain("block_size_minimum: 512"));
        Assert.That(PeerTool.Run("libnbd-bin", "nbdinfo", "--is", "read-only", $"nbd+unix:///%C3%A4?socket={_rig.Socket}"), Is.Empty);
    }

    [Test, CancelAfter(120_000)]
    public async Task Nbdcopy_copies_to_and_from_our_server_over_several_connections()
    {
        byte[] data = new byte[8 << 20];
        new Random(1).NextBytes(data);
        data.AsSpan(1 << 20, 2 << 20).Clear();
        File.WriteAllBytes(_rig.Folder["in"], data);
        await using MemoryBlockDevice memory = new(data.Length);
        _rig.Start(memory);
        PeerTool.Run("libnbd-bin", "nbdcopy", "--flush", _rig.Folder["in"], Uri);
        byte[] read = new byte[data.Length];
        await memory.ReadAsync(0, read);
        Assert.That(read.AsSpan().SequenceEqual(data));
        PeerTool.Run("libnbd-bin", "nbdcopy", "-C", "4", Uri, _rig.Folder["out"]);
        Assert.That(File.ReadAllBytes(_rig.Folder["out"]).AsSpan().SequenceEqual(data));
    }

    [Test, CancelAfter(120_000)]
    public void The_kernels_client_uses_our_server()
    {
        if (!Directory.Exists("/sys/module/nbd") || !File.Exists("/dev/nbd0"))
        {
            Assert.Ignore("This kernel has no nbd module loaded: modprobe nbd");
        }

        _rig.Start(new MemoryBlockDevice(4 << 20));
        PeerTool.Run("nbd-client", "nbd-client", "-unix", _rig.Socket, "-N", "disk", "/dev/nbd0");
        try
        {
            PeerTool.Run("coreutils", "dd", "if=/dev/zero", "of=/dev/nbd0", "bs=64k", "count=16", "oflag=direct");
        }
        finally
        {
            PeerTool.Run("nbd-client", "nbd-client", "-d", "/dev/nbd0");
        }
    }

    private string Uri => _rig.Uri.ToString();

    private PeerServer StartQemu(string format, string image) =>
        PeerServer.Start("qemu-utils", "qemu-nbd", _rig.Socket, "-t", "-k", _rig.Socket, "-f", format, "-x", "disk", "--discard=unmap", _rig.Folder[image]);

    private PeerServer StartKit(params string[] arguments) =>
        PeerServer.Start("nbdkit", "nbdkit", _rig.Socket, ["-f", "-U", _rig.Socket, .. arguments]);
}
