using System.Net.Sockets;
using Uml.Hosting.Assets;

namespace Uml.Hosting.Tests.Assets;

public sealed class GuestAssetCacheTests
{
    private const string Meta = "linux-image-cloud-amd64";

    private string _directory = "";
    private FakeApt _apt = new();

    [SetUp]
    public void SetUp()
    {
        _directory = Directory.CreateTempSubdirectory("uml-assets-").FullName;
        _apt = new FakeApt();
        Directory.CreateDirectory(Path.Combine(_directory, "etc/apt/sources.list.d"));
        File.WriteAllText(Path.Combine(_directory, "etc/os-release"), "ID=debian\nVERSION_CODENAME=bookworm\n");
        File.WriteAllText(
            Path.Combine(_directory, "etc/apt/sources.list.d/debian.sources"),
            "Types: deb deb-src\nURIs: http://mirror/debian\nSuites: bookworm bookworm-updates\nComponents: main contrib\nSigned-By: /keys.gpg\n\n"
            + "Types: deb\nURIs: http://mirror/security\nSuites: bookworm-security\nComponents: main\nSigned-By: /keys.gpg\n");
    }

    [TearDown]
    public void TearDown() => Directory.Delete(_directory, recursive: true);

    [Test]
    public async Task A_metapackage_leads_to_the_kernel_and_its_modules()
    {
        FakeApt.AddKernel(_apt.Host, Meta, "6.1.0-9-cloud-amd64", "6.1.2-1");

        KernelAsset kernel = await NewCache().GetKernelAsync(Meta);

        Assert.Multiple(() =>
        {
            Assert.That(kernel.Release, Is.EqualTo("6.1.0-9-cloud-amd64"));
            Assert.That(kernel.PackageVersion, Is.EqualTo("6.1.2-1"));
            Assert.That(File.ReadAllText(kernel.ImagePath), Is.EqualTo("kernel"));
            Assert.That(File.ReadAllText(kernel.ConfigPath!), Is.EqualTo("CONFIG"));
            Assert.That(File.Exists(Path.Combine(kernel.ModulesDirectory!, "kernel/a.ko")), Is.True);
            Assert.That(Directory.Exists(Path.Combine(Path.GetDirectoryName(kernel.ImagePath)!, "../usr")), Is.False, "documentation is left out");
        });
    }

    [Test]
    public async Task Nothing_is_fetched_twice()
    {
        FakeApt.AddBusyBox(_apt.Host);
        string first = await NewCache().GetBusyBoxAsync();
        int commands = _apt.Commands.Count;

        string second = await NewCache().GetBusyBoxAsync();

        Assert.That(second, Is.EqualTo(first));
        Assert.That(_apt.Commands, Has.Count.EqualTo(commands));
        Assert.That(File.ReadAllText(first), Is.EqualTo("program"));
    }

    [Test]
    public async Task Eight_at_once_fetch_once()
    {
        FakeApt.AddBusyBox(_apt.Host);

        string[] paths = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => NewCache().GetBusyBoxAsync())));

        Assert.That(paths.Distinct().Count(), Is.EqualTo(1));
        Assert.That(_apt.Commands.Count(command => command.StartsWith("apt-get download", StringComparison.Ordinal)), Is.EqualTo(1));
    }

    [Test]
    public async Task A_suite_is_taken_from_the_hosts_mirror_by_private_lists()
    {
        FakeApt.AddKernel(_apt.Private, Meta, "6.12.9-cloud-amd64", "6.12.9-1~bpo12+1");

        KernelAsset kernel = await NewCache().GetKernelAsync(Meta + "/bookworm-backports");

        Assert.That(kernel.Release, Is.EqualTo("6.12.9-cloud-amd64"));
        Assert.That(_apt.PrivateSources, Is.EqualTo("deb [arch=amd64 signed-by=/keys.gpg] http://mirror/debian bookworm-backports main\n"));
        string configuration = File.ReadAllText(Path.Combine(_directory, "cache/apt/bookworm-backports/apt.conf"));
        Assert.That(configuration, Does.Contain("Acquire::http::Proxy").And.Not.Contain("rm -rf"), "the way to the network, but no hooks");
    }

    [Test]
    public async Task A_host_without_package_lists_gets_private_ones()
    {
        FakeApt.AddBusyBox(_apt.Private);

        await NewCache().GetBusyBoxAsync();

        Assert.That(_apt.PrivateSources.Split('\n', StringSplitOptions.RemoveEmptyEntries), Has.Length.EqualTo(3), "release, updates and security");
        Assert.That(_apt.Commands, Has.Some.StartsWith("apt-get update"));
    }

    [Test]
    public async Task A_host_of_another_architecture_gets_the_guests_program_by_private_lists()
    {
        FakeApt.AddBusyBox(_apt.Host);
        FakeApt.AddBusyBox(_apt.Private);
        FakeApt.Add(_apt.Host, "Package: busybox-static\nVersion: 1\nArchitecture: arm64\n", []);

        Assert.That(File.ReadAllText(await NewCache().GetBusyBoxAsync()), Is.EqualTo("program"));
    }

    [Test]
    public async Task Outdated_host_lists_lead_to_private_ones()
    {
        FakeApt.AddBusyBox(_apt.Host);
        FakeApt.AddBusyBox(_apt.Private);
        FakeApt.Add(_apt.Host, "Package: busybox-static\nVersion: 0\n", []);
        _apt.Answers["apt-get download -q -o APT::Status-Fd=1 -o APT::Sandbox::User=root busybox-static=0"] = new CommandResult(100, "", "E: 404  Not Found");

        Assert.That(File.Exists(await NewCache().GetBusyBoxAsync()), Is.True);
    }

    [Test]
    public void A_package_that_nobody_knows_is_named() =>
        Assert.That(() => NewCache().GetKernelAsync("linux-image-nosuch"), Throws.InstanceOf<GuestAssetException>().With.Message.Contains("linux-image-nosuch"));

    [Test]
    public void No_apt_at_all_says_what_to_do()
    {
        _apt.Answers["apt"] = null;

        Assert.That(() => NewCache().GetBusyBoxAsync(), Throws.InstanceOf<GuestAssetException>().With.Message.Contains("by their paths"));
    }

    [Test]
    public void No_network_says_so()
    {
        _apt.Answers["apt-get update"] = new CommandResult(100, "", "E: Failed to fetch http://mirror  Temporary failure resolving 'mirror'");

        Assert.That(() => NewCache().GetBusyBoxAsync(), Throws.InstanceOf<GuestAssetException>().With.Message.Contains("network"));
    }

    [Test]
    public void An_untrusted_mirror_says_so()
    {
        _apt.Answers["apt-get update"] = new CommandResult(100, "", "E: The repository 'x' is not signed.");

        Assert.That(() => NewCache().GetBusyBoxAsync(), Throws.InstanceOf<GuestAssetException>().With.Message.Contains("debian-archive-keyring"));
    }

    [Test]
    public void A_host_that_is_not_Debian_says_what_to_set()
    {
        Directory.Delete(Path.Combine(_directory, "etc"), recursive: true);

        Assert.That(() => NewCache().GetBusyBoxAsync(), Throws.InstanceOf<GuestAssetException>().With.Message.Contains("Mirror"));
    }

    [Test]
    public async Task A_mirror_that_is_set_is_used_instead_of_the_hosts()
    {
        FakeApt.AddBusyBox(_apt.Private);
        GuestAssetCacheOptions options = Options();
        options.Mirror = "http://other/debian";
        options.Keyring = "/other.gpg";

        await new GuestAssetCache(options, _apt, Path.Combine(_directory, "etc")).GetBusyBoxAsync("busybox-static/trixie");

        Assert.That(_apt.PrivateSources, Is.EqualTo("deb [arch=amd64 signed-by=/other.gpg] http://other/debian trixie main\n"));
    }

    [TestCase("Foo")]
    [TestCase("-o=x")]
    [TestCase("a b")]
    [TestCase("../x")]
    [TestCase("a/../b")]
    [TestCase("linux/trixie/x")]
    public void A_name_that_is_no_package_name_runs_nothing(string name)
    {
        Assert.That(() => NewCache().GetKernelAsync(name), Throws.InstanceOf<GuestAssetException>());
        Assert.That(_apt.Commands, Is.Empty);
    }

    [Test]
    public void A_damaged_package_leaves_nothing_behind()
    {
        FakeApt.Add(_apt.Host, "Package: busybox-static\nVersion: 1\n", [1, 2, 3]);

        Assert.That(() => NewCache().GetBusyBoxAsync(), Throws.InstanceOf<GuestAssetException>().With.Message.Contains("not a Debian package"));
        Assert.That(Directory.Exists(Path.Combine(_directory, "cache/packages")), Is.False);
        Assert.That(Directory.Exists(Path.Combine(_directory, "cache/tmp")), Is.False);
    }

    [Test]
    public async Task Waiting_for_another_process_can_be_cancelled()
    {
        FakeApt.AddBusyBox(_apt.Host);
        Directory.CreateDirectory(Path.Combine(_directory, "cache"));
        using CancellationTokenSource cancellation = new(TimeSpan.FromMilliseconds(300));
        using (new FileStream(Path.Combine(_directory, "cache/lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None))
        {
            Assert.That(() => NewCache().GetBusyBoxAsync(cancellation.Token), Throws.InstanceOf<OperationCanceledException>());
        }

        Assert.That(await NewCache().GetBusyBoxAsync(), Is.Not.Empty);
    }

    [Test]
    public void A_lock_that_cannot_be_opened_is_told_and_not_waited_for()
    {
        FakeApt.AddBusyBox(_apt.Host);
        Directory.CreateDirectory(Path.Combine(_directory, "cache"));
        using Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(Path.Combine(_directory, "cache/lock")));

        using CancellationTokenSource cancellation = new(TimeSpan.FromSeconds(20));

        // As on a file system that is mounted read-only, open(2) fails otherwise than for want of permission.
        Assert.That(
            () => NewCache().GetBusyBoxAsync(cancellation.Token),
            Throws.InstanceOf<GuestAssetException>().With.Message.Contains("XDG_CACHE_HOME"));
    }

    [Test]
    public void A_command_that_hangs_is_ended()
    {
        CommandRunner runner = new(TimeSpan.FromMilliseconds(200));

        Assert.That(
            () => runner.RunAsync("sleep", ["60"], new Dictionary<string, string>(), _directory, null, CancellationToken.None),
            Throws.InstanceOf<GuestAssetException>().With.Message.Contains("sleep 60"));
    }

    [Test]
    public async Task A_command_that_does_not_exist_is_told_apart()
    {
        CommandRunner runner = new(TimeSpan.FromSeconds(10));

        Assert.That(await runner.RunAsync("no-such-command-here", [], new Dictionary<string, string>(), _directory, null, CancellationToken.None), Is.Null);
        Assert.That((await runner.RunAsync("sh", ["-c", "echo out; echo err >&2; exit 3"], new Dictionary<string, string>(), _directory, null, CancellationToken.None))!.Value,
            Is.EqualTo(new CommandResult(3, "out\n", "err\n")));
    }

    [Test]
    public void A_cache_directory_that_cannot_be_made_says_so()
    {
        File.WriteAllText(Path.Combine(_directory, "cache"), "a file");

        Assert.That(() => NewCache().GetBusyBoxAsync(), Throws.InstanceOf<GuestAssetException>().With.Message.Contains("Directory"));
    }

    private GuestAssetCache NewCache() => new(Options(), _apt, Path.Combine(_directory, "etc"));

    private GuestAssetCacheOptions Options() => new() { Directory = Path.Combine(_directory, "cache") };
}
