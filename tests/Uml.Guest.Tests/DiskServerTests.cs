using System.Text;
using Uml.Devices.Virtio;
using Uml.Storage.Nbd.Client;
using Uml.Storage.Tests.Nbd;

namespace Uml.Guest.Tests;

/// <summary>A disk whose server is killed while the guest writes to it, with a flush behind each block.</summary>
[TestFixture]
[Category("Guest")]
public sealed class DiskServerTests
{
    private const int Blocks = 150, BlockSize = 4096;

    private TemporaryFolder _folder = null!;

    private string Disk => _folder["disk"];

    private string Socket => _folder["nbd.sock"];

    [SetUp]
    public void MakeDisk()
    {
        _folder = new TemporaryFolder();
        File.WriteAllBytes(Disk, new byte[Blocks * BlockSize]);
    }

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [Test]
    public async Task Without_time_to_reconnect_the_guest_gets_errors_and_goes_on([Values(0, 500)] int milliseconds)
    {
        using PeerServer server = StartServer();
        await using GuestMachine guest = await BootAsync(TimeSpan.FromMilliseconds(milliseconds));
        Task<string> written = WriteAsync(guest);
        await WaitForBlockAsync(10);
        server.Dispose();

        Assert.That(await written, Does.StartWith("failed at ").And.Contains("Input/output error"));
        Assert.That((await guest.Shell.RunAsync("echo alive; dmesg | grep -c 'I/O error, dev vda'", GuestMachine.Patience)).Output, Does.Match("^alive\n[1-9]"));
        await AssertHasAsync(10);
    }

    [Test]
    public async Task A_server_that_comes_back_in_time_gets_all_that_the_guest_writes()
    {
        PeerServer server = StartServer();
        try
        {
            await using GuestMachine guest = await BootAsync(TimeSpan.FromMinutes(2));
            Task<string> written = WriteAsync(guest);
            for (int i = 1; i <= 3; i++)
            {
                await WaitForBlockAsync(i * 30);
                server.Dispose();
                File.Delete(Socket);
                await Task.Delay(300);
                server = StartServer();
            }

            Assert.That(await written, Is.EqualTo("done\n"));
        }
        finally
        {
            server.Dispose();
        }

        await AssertHasAsync(Blocks);
    }

    private PeerServer StartServer() => PeerServer.Start("nbdkit", "nbdkit", Socket, "--foreground", "--exit-with-parent", "--unix", Socket, "file", Disk);

    private async Task<GuestMachine> BootAsync(TimeSpan reconnect)
    {
        NbdClientOptions options = new() { ReconnectTimeout = reconnect, ReconnectDelay = TimeSpan.FromMilliseconds(20) };
        NbdBlockDevice disk = await NbdBlockDevice.ConnectAsync(new Uri($"nbd+unix:///?socket={Socket}"), options);
        return await GuestMachine.BootToShellAsync(builder => builder.AddBlockDevice(_ => disk), modules: ["virtio_pci", "virtio_blk"]);
    }

    private static async Task<string> WriteAsync(GuestMachine guest) => (await guest.Shell.RunAsync(
        $"i=0; while [ $i -lt {Blocks} ]; do said=$(echo block $i | dd of=/dev/vda bs={BlockSize} seek=$i count=1 conv=sync,fsync 2>&1) || "
            + "{ echo failed at $i: $said; exit; }; i=$((i+1)); done; echo done",
        GuestMachine.Patience)).Output;

    /// <summary>Waits until the server has a block in the file.</summary>
    private async Task WaitForBlockAsync(int block)
    {
        for (DateTime end = DateTime.UtcNow + GuestMachine.Patience; !await HasAsync(block); await Task.Delay(10))
        {
            Assert.That(DateTime.UtcNow, Is.LessThan(end), $"block {block} does not come");
        }
    }

    private async Task AssertHasAsync(int count)
    {
        for (int i = 0; i < count; i++)
        {
            Assert.That(await HasAsync(i), $"block {i}");
        }
    }

    private async Task<bool> HasAsync(int block)
    {
        byte[] expected = new byte[BlockSize], there = new byte[BlockSize];
        Encoding.ASCII.GetBytes($"block {block}\n", expected);
        await using FileStream file = new(Disk, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        file.Position = (long)block * BlockSize;
        await file.ReadExactlyAsync(there);
        return there.AsSpan().SequenceEqual(expected);
    }
}
