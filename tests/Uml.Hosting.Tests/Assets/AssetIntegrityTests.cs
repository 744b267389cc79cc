using System.Diagnostics;
using Uml.Hosting.Assets;

namespace Uml.Hosting.Tests.Assets;

/// <summary>What arrives is what apt's index says, and what was kept is what arrived.</summary>
public sealed class AssetIntegrityTests
{
    private const string Meta = "linux-image-cloud-amd64";

    private string _directory = "";
    private FakeApt _apt = new();

    private int Downloads => _apt.Commands.Count(command => command.StartsWith("apt-get download", StringComparison.Ordinal));

    [SetUp]
    public void SetUp()
    {
        _directory = Directory.CreateTempSubdirectory("uml-assets-").FullName;
        Directory.CreateDirectory(Path.Combine(_directory, "etc/apt"));
        File.WriteAllText(Path.Combine(_directory, "etc/apt/sources.list"), "deb http://mirror/debian bookworm main\n");
        _apt = new FakeApt { Status = ["dlstatus:1:0.0000:x", "dlstatus:1:39.6735:x", "dlstatus:1:41.0:x", "Get:1 http://mirror", "dlstatus:1:100.0000:x"] };
        FakeApt.AddBusyBox(_apt.Host);
        FakeApt.AddKernel(_apt.Host, Meta, "6.1.0-9-cloud-amd64", "6.1.2-1");
    }

    [TearDown]
    public void TearDown() => Directory.Delete(_directory, recursive: true);

    [Test]
    public async Task A_download_that_does_not_have_the_hash_of_the_index_is_fetched_again()
    {
        _apt.DamagedDownloads = 1;

        Assert.That(await File.ReadAllTextAsync(await NewCache().GetBusyBoxAsync()), Is.EqualTo("program"));
        Assert.That(Downloads, Is.EqualTo(2));
    }

    [Test]
    public void Downloads_that_never_have_the_hash_of_the_index_are_refused()
    {
        _apt.DamagedDownloads = int.MaxValue;
        FakeApt.AddBusyBox(_apt.Private);
        File.WriteAllText(Path.Combine(_directory, "etc/os-release"), "VERSION_CODENAME=bookworm\n");

        Assert.That(() => NewCache().GetBusyBoxAsync(), Throws.InstanceOf<GuestAssetException>().With.Message.Contains("SHA-256"));
        Assert.That(Directory.Exists(Path.Combine(_directory, "cache/packages")), Is.False);
    }

    [Test]
    public void A_package_that_is_installed_but_in_no_list_is_not_fetched_from_there()
    {
        _apt.Host["busybox-static"] = ("Package: busybox-static\nVersion: 1:1.35\nStatus: install ok installed\n", _apt.Host["busybox-static"].File);

        Assert.That(() => NewCache().GetBusyBoxAsync(), Throws.InstanceOf<GuestAssetException>());
        Assert.That(Downloads, Is.Zero);
    }

    [TestCase("truncated")]
    [TestCase("changed")]
    [TestCase("missing")]
    public async Task A_program_that_was_damaged_is_fetched_again(string how)
    {
        string program = await NewCache().GetBusyBoxAsync();
        DateTime time = File.GetLastWriteTimeUtc(program);
        Damage(program, how);
        if (how == "changed")
        {
            // As a disk does it, which changes no times.
            File.SetLastWriteTimeUtc(program, time);
        }

        Assert.That(await File.ReadAllTextAsync(await NewCache().GetBusyBoxAsync()), Is.EqualTo("program"));
        Assert.That(Downloads, Is.EqualTo(2));
        await NewCache().GetBusyBoxAsync();
        Assert.That(Downloads, Is.EqualTo(2));
    }

    [Test]
    public async Task A_program_that_was_damaged_is_fetched_again_also_where_the_cache_is_in_a_directory_called_modules()
    {
        string program = await NewCache(directory: "modules/cache").GetBusyBoxAsync();
        DateTime time = File.GetLastWriteTimeUtc(program);
        Damage(program, "changed");
        File.SetLastWriteTimeUtc(program, time);

        Assert.That(await File.ReadAllTextAsync(await NewCache(directory: "modules/cache").GetBusyBoxAsync()), Is.EqualTo("program"));
    }

    [TestCase("truncated")]
    [TestCase("changed")]
    [TestCase("missing")]
    public async Task A_module_that_was_damaged_is_fetched_again(string how)
    {
        KernelAsset kernel = await NewCache().GetKernelAsync(Meta);
        string module = Path.Combine(kernel.ModulesDirectory!, "kernel/a.ko");
        Damage(module, how);
        if (how == "changed")
        {
            File.SetLastWriteTimeUtc(module, DateTime.UtcNow + TimeSpan.FromSeconds(10));
        }

        kernel = await NewCache().GetKernelAsync(Meta);

        Assert.That(await File.ReadAllTextAsync(Path.Combine(kernel.ModulesDirectory!, "kernel/a.ko")), Is.EqualTo("module"));
        Assert.That(Downloads, Is.EqualTo(2));
    }

    [TestCase("truncated")]
    [TestCase("changed")]
    [TestCase("missing")]
    public async Task A_list_of_files_that_was_damaged_makes_the_package_be_fetched_again(string how)
    {
        string program = await NewCache().GetBusyBoxAsync();
        string manifest = Path.Combine(Path.GetDirectoryName(Path.GetDirectoryName(program))!, "manifest");
        Damage(manifest, how);

        Assert.That(await File.ReadAllTextAsync(await NewCache().GetBusyBoxAsync()), Is.EqualTo("program"));
        Assert.That(Downloads, Is.EqualTo(2));
    }

    [Test]
    public async Task A_damaged_package_is_replaced_once_by_eight_at_once()
    {
        Damage(await NewCache().GetBusyBoxAsync(), "truncated");

        string[] programs = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => NewCache().GetBusyBoxAsync())));

        Assert.That(await Task.WhenAll(programs.Select(program => File.ReadAllTextAsync(program))), Is.All.EqualTo("program"));
        Assert.That(Downloads, Is.EqualTo(2));
    }

    [Test]
    [Platform("Linux")]
    [CancelAfter(60_000)]
    public async Task Another_process_that_works_in_the_cache_is_waited_for(CancellationToken token)
    {
        Directory.CreateDirectory(Path.Combine(_directory, "cache"));
        using Process other = Process.Start(new ProcessStartInfo("flock", [Path.Combine(_directory, "cache/lock"), "sh", "-c", "echo locked; read line"])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        })!;
        await other.StandardOutput.ReadLineAsync(token);
        Lines progress = [];
        Task<string> program = NewCache(progress).GetBusyBoxAsync(token);
        while (!progress.Any(line => line.StartsWith("Waiting for another process", StringComparison.Ordinal)))
        {
            await Task.Delay(10, token);
        }

        Assert.That(_apt.Commands, Is.Empty);
        await other.StandardInput.WriteLineAsync("done");
        other.StandardInput.Close();
        Assert.That(File.Exists(await program), Is.True);
        await other.WaitForExitAsync(token);
    }

    [Test]
    public async Task Progress_shows_per_cent()
    {
        Lines progress = [];

        await NewCache(progress).GetBusyBoxAsync();

        Assert.That(progress.Where(line => line.EndsWith('%')).Select(line => line.Split(": ")[^1]), Is.EqualTo(new[] { "30 %", "40 %", "100 %" }));
    }

    private static void Damage(string path, string how)
    {
        byte[] bytes = File.ReadAllBytes(path);
        switch (how)
        {
            case "truncated":
                File.WriteAllBytes(path, bytes[..(bytes.Length / 2)]);
                break;
            case "changed":
                bytes[0] ^= 1;
                File.WriteAllBytes(path, bytes);
                break;
            default:
                File.Delete(path);
                break;
        }
    }

    private GuestAssetCache NewCache(IProgress<string>? progress = null, string directory = "cache") => new(
        new GuestAssetCacheOptions { Directory = Path.Combine(_directory, directory), Progress = progress }, _apt, Path.Combine(_directory, "etc"));

    private sealed class Lines : System.Collections.Concurrent.ConcurrentQueue<string>, IProgress<string>
    {
        public void Add(string line) => Enqueue(line);

        public void Report(string value) => Enqueue(value);
    }
}
