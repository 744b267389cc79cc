using Microsoft.Extensions.Configuration;
using Uml.Core;
using Uml.Core.Boot;
using Uml.Core.Machine;
using Uml.Devices.Consoles;
using Uml.Hosting.Assets;
using Uml.Hosting.Tests.Assets;
using Uml.Hosting.Tests.Robustness;

namespace Uml.Hosting.Tests;

/// <summary>The errors of docs/troubleshooting.md, provoked: each says what the page has it say.</summary>
[CancelAfter(60_000)]
public sealed class TroubleshootingTests
{
    private string _directory = "";
    private FakeApt _apt = new();

    [SetUp]
    public void SetUp()
    {
        _directory = Directory.CreateTempSubdirectory("uml-trouble-").FullName;
        _apt = new FakeApt();
        Directory.CreateDirectory(Path.Combine(_directory, "etc/apt"));
        File.WriteAllText(Path.Combine(_directory, "etc/os-release"), "VERSION_CODENAME=bookworm\n");
        File.WriteAllText(Path.Combine(_directory, "etc/apt/sources.list"), "deb http://mirror/debian bookworm main\n");
    }

    [TearDown]
    public void TearDown() => Directory.Delete(_directory, recursive: true);

    [Test]
    public Task Offline() => AssertAsync("is not in the cache ... and there is no way to a mirror to fetch it from", () =>
    {
        _apt.IsOffline = true;
        return NewCache().GetBusyBoxAsync();
    });

    [Test]
    public Task No_apt() => AssertAsync("is not on this host, so guest assets cannot be fetched by name", () =>
    {
        _apt.Answers["apt"] = null;
        return NewCache().GetBusyBoxAsync();
    });

    [Test]
    public Task Wrong_package() => AssertAsync("There is no package", () => NewCache().GetKernelAsync("linux-image-nosuch"));

    [Test]
    public Task Untrusted_mirror() => AssertAsync("The mirror's signing key is not trusted here", () =>
    {
        _apt.Answers["apt-get update"] = new CommandResult(100, "", "E: The repository 'x' is not signed.");
        return NewCache().GetBusyBoxAsync();
    });

    [Test]
    public Task Damaged_download() => AssertAsync("arrived 2 times with another SHA-256", () =>
    {
        _apt.DamagedDownloads = int.MaxValue;
        FakeApt.AddBusyBox(_apt.Host);
        FakeApt.AddBusyBox(_apt.Private);
        return NewCache().GetBusyBoxAsync();
    });

    [Test]
    public Task Unusable_cache() => AssertAsync("The asset cache ... cannot be used", () =>
    {
        File.WriteAllText(Path.Combine(_directory, "cache"), "");
        return NewCache().GetBusyBoxAsync();
    });

    [Test]
    [Platform("Linux")]
    public Task No_home() => AssertAsync("is not a directory of this user's alone", () =>
    {
        File.CreateSymbolicLink(Path.Combine(_directory, $"uml-{Interop.Stat.GetEffectiveUser()}"), _directory);
        return Task.FromResult(CacheDirectory.Choose(null, "", _directory));
    });

    [Test]
    public Task No_board() => AssertAsync("has no board", () => StartAsync(new VirtualMachineBuilder().UseKernel(BootFile.FromBytes(TestKernel.Vmlinux()))));

    [Test]
    public Task No_kernel() => AssertAsync("has nothing to run", () => StartAsync(UmlMachine.CreateDefaultBuilder()));

    [Test]
    public Task Wrong_path() => AssertAsync("does not exist; check the path", () => UmlMachine.StartAsync("/no/such/kernel", assets: NewBusyBoxCache()));

    [Test]
    public Task No_kernel_file() => AssertAsync(
        "is neither a bzImage nor an ELF file", () => StartAsync(UmlMachine.CreateDefaultBuilder().UseKernel(BootFile.FromBytes("root:x:0:0::/root:/bin/sh"u8.ToArray()))));

    [Test]
    public Task Too_little_memory() => AssertAsync("which is not guest RAM; the guest has", () => StartAsync(
        UmlMachine.CreateDefaultBuilder().UseKernel(BootFile.FromBytes(TestKernel.Vmlinux(16 << 20))).Configure(options => options.MemorySize = 4 << 20)));

    [Test]
    public Task Size_without_a_unit() => AssertAsync("of which unit?", () => StartAsync(UmlMachine.CreateDefaultBuilder().Configure(
        new ConfigurationBuilder().AddInMemoryCollection([KeyValuePair.Create<string, string?>("Memory", "256")]).Build())));

    [Test]
    public Task Second_build() => AssertAsync("This builder has built its machine", async () =>
    {
        VirtualMachineBuilder builder = UmlMachine.CreateDefaultBuilder();
        await builder.Build().DisposeAsync();
        await builder.Build().DisposeAsync();
    });

    [Test]
    public Task Second_start() => AssertAsync("a machine starts once", async () =>
    {
        await using IVirtualMachine machine = UmlMachine.CreateDefaultBuilder().UseKernel(BootFile.FromBytes(TestKernel.Vmlinux())).Build();
        await machine.StartAsync();
        await machine.StartAsync();
    });

    [Test]
    public Task Second_console() => AssertAsync("This machine has a console already", () =>
        UmlMachine.StartAsync("/no/such/kernel", builder => builder.AddConsole(new NullConsoleChannel())));

    private static async Task AssertAsync(string entry, Func<Task> provoke)
    {
        string page = await File.ReadAllTextAsync(Path.Combine(FindRepository(), "docs", "troubleshooting.md"));
        Assert.That(page, Does.Contain($"**{entry}**"));
        Exception error = (await Assert.CatchAsync(() => provoke()))!;
        Assert.That(error, Is.InstanceOf<MachineConfigurationException>().Or.InstanceOf<InvalidOperationException>());
        foreach (string part in entry.Split(" ... "))
        {
            Assert.That(error.Message, Does.Contain(part));
        }
    }

    private static async Task StartAsync(VirtualMachineBuilder builder)
    {
        await using IVirtualMachine machine = builder.Build();
        await machine.StartAsync();
    }

    private static string FindRepository()
    {
        string? directory = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(directory!, "Uml.slnx")))
        {
            directory = Path.GetDirectoryName(directory);
        }

        return directory!;
    }

    private GuestAssetCache NewBusyBoxCache()
    {
        FakeApt.AddBusyBox(_apt.Host);
        return NewCache();
    }

    private GuestAssetCache NewCache() => new(
        new GuestAssetCacheOptions { Directory = Path.Combine(_directory, "cache") }, _apt, Path.Combine(_directory, "etc"));
}
