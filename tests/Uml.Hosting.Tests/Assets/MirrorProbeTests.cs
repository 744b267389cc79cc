using System.Net;
using System.Net.Sockets;
using Uml.Hosting.Assets;

namespace Uml.Hosting.Tests.Assets;

[CancelAfter(60_000)]
public sealed class MirrorProbeTests
{
    private string _directory = "";

    [SetUp]
    public void SetUp()
    {
        _directory = Directory.CreateTempSubdirectory("uml-probe-").FullName;
        Directory.CreateDirectory(Path.Combine(_directory, "etc/apt"));
        File.WriteAllText(Path.Combine(_directory, "etc/os-release"), "VERSION_CODENAME=bookworm\n");
        File.WriteAllText(Path.Combine(_directory, "etc/apt/sources.list"), "deb http://mirror/debian bookworm main\n");
    }

    [TearDown]
    public void TearDown() => Directory.Delete(_directory, recursive: true);

    [TestCase(true)]
    [TestCase(false)]
    public async Task A_host_that_is_offline_says_so_without_waiting_for_apt(bool hasLists)
    {
        FakeApt apt = new() { IsOffline = true };
        FakeApt.AddBusyBox(hasLists ? apt.Host : apt.Private);

        GuestAssetException error = (await Assert.ThrowsAsync<GuestAssetException>(() => NewCache(apt).GetBusyBoxAsync()))!;

        Assert.That(error.Message, Does.Contain("busybox-static is not in the cache").And.Contain("no way to a mirror").And.Contain("mirror: "));
        Assert.That(apt.Commands.Where(command => command.StartsWith("apt-get", StringComparison.Ordinal)), Is.Empty);
        Assert.That(apt.Connections, Is.EquivalentTo(new[] { "mirror:80", "proxy:1" }), "the archive, and the proxy of apt's settings");
    }

    [Test]
    public async Task What_is_in_the_cache_needs_no_network()
    {
        FakeApt apt = new();
        FakeApt.AddBusyBox(apt.Host);
        string program = await NewCache(apt).GetBusyBoxAsync();
        apt.IsOffline = true;

        Assert.That(await NewCache(apt).GetBusyBoxAsync(), Is.EqualTo(program));
    }

    [TestCase("file:/srv/debian", "")]
    [TestCase("mirror+file:/etc/apt/mirrors", "")]
    [TestCase("http://mirror/debian", "Acquire::http::Proxy-Auto-Detect \"/usr/bin/detect\";\n")]
    public async Task Archives_that_apt_has_ways_of_its_own_to_are_left_to_apt(string archive, string settings)
    {
        MirrorProbe probe = new(new FakeApt { IsOffline = true }, TimeSpan.FromSeconds(2));

        Assert.That(await probe.FindSilenceAsync([archive], settings, CancellationToken.None), Is.Null);
    }

    [Test]
    public async Task One_archive_that_answers_is_enough()
    {
        using TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        int closed = ClosedPort();
        MirrorProbe probe = new(new CommandRunner(TimeSpan.FromSeconds(10)), TimeSpan.FromSeconds(30));

        Assert.That(
            await probe.FindSilenceAsync([$"http://127.0.0.1:{closed}/", $"http://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}/debian"], "", CancellationToken.None),
            Is.Null);
        Assert.That(
            await probe.FindSilenceAsync([$"http://127.0.0.1:{closed}/"], "", CancellationToken.None), Does.StartWith("127.0.0.1: "));
    }

    [Test]
    public async Task An_archive_that_does_not_answer_is_given_up()
    {
        // Behind a full backlog a connection is neither taken nor refused.
        using Socket listener = new(SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen(0);
        EndPoint place = listener.LocalEndPoint!;
        List<Socket> fillers = [];
        for (int i = 0; i < 4; i++)
        {
            Socket filler = new(SocketType.Stream, ProtocolType.Tcp) { Blocking = false };
            fillers.Add(filler);
            _ = filler.ConnectAsync(place).ContinueWith(task => task.Exception, TaskScheduler.Default);
        }

        MirrorProbe probe = new(new CommandRunner(TimeSpan.FromSeconds(10)), TimeSpan.FromMilliseconds(300));

        Assert.That(
            await probe.FindSilenceAsync([$"http://127.0.0.1:{((IPEndPoint)place).Port}/"], "", CancellationToken.None), Does.Contain("no answer within 0.3 s"));
        fillers.ForEach(filler => filler.Dispose());
    }

    private static int ClosedPort()
    {
        using TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private GuestAssetCache NewCache(FakeApt apt) =>
        new(new GuestAssetCacheOptions { Directory = Path.Combine(_directory, "cache") }, apt, Path.Combine(_directory, "etc"));
}
