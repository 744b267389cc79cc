using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Uml.Core;
using Uml.Core.Boot;
using Uml.Core.Machine;
using Uml.Hosting.Assets;
using Uml.Hosting.Tests.Assets;

namespace Uml.Hosting.Tests;

/// <summary>A name is a package's or a path, and which of the two does not depend on what files there are.</summary>
[CancelAfter(60_000)]
public sealed class NamedFileTests
{
    private const string Meta = "linux-image-cloud-amd64";

    private string _directory = "";
    private FakeApt _apt = new();

    [SetUp]
    public void SetUp()
    {
        _directory = Directory.CreateTempSubdirectory("uml-named-").FullName;
        Directory.CreateDirectory(Path.Combine(_directory, "etc/apt"));
        File.WriteAllText(Path.Combine(_directory, "etc/apt/sources.list"), "deb http://mirror/debian bookworm main\n");
        _apt = new FakeApt();
        FakeApt.AddKernel(_apt.Host, Meta, "6.1.0-9-cloud-amd64", "6.1.2-1");
        FakeApt.AddBusyBox(_apt.Host);
    }

    [TearDown]
    public void TearDown() => Directory.Delete(_directory, recursive: true);

    [TestCase("linux-image-amd64", true)]
    [TestCase("linux-image-cloud-amd64/bookworm-backports", true)]
    [TestCase("./linux-image-amd64", false)]
    [TestCase("/srv/linux-image-amd64", false)]
    [TestCase("vmlinuz", false)]
    [TestCase("Linux-image-amd64", false)]
    public void The_name_alone_tells_a_kernel_package_from_a_path(string name, bool isPackage)
    {
        Assert.That(NamedFile.IsKernelPackage(name), Is.EqualTo(isPackage));
        Assert.That(NamedFile.Kernel(name).Name, Is.EqualTo(name));
    }

    [Test]
    public async Task A_package_is_fetched_when_the_file_is_found()
    {
        BootFile kernel = NamedFile.Kernel(Meta, NewCache()), initrd = NamedFile.Initrd("busybox-static", NewCache());
        Assert.That(_apt.Commands, Is.Empty);

        Assert.That((await kernel.FindAsync()).Name, Does.EndWith("/boot/vmlinuz-6.1.0-9-cloud-amd64"));
        Assert.That((await initrd.FindAsync()).Name, Is.EqualTo("(busybox-static image)"));
    }

    [TestCase("linux-image-x/y/z", "is not the name of a Debian package")]
    [TestCase("linux-image-amd64 ", "is not the name of a Debian package")]
    [TestCase("", "is empty")]
    public void A_name_that_cannot_be_one_is_refused_at_once(string name, string message) =>
        Assert.That(() => NamedFile.Kernel(name), Throws.InstanceOf<MachineConfigurationException>().With.Message.Contains(message));

    [Test]
    public async Task A_registered_machine_fetches_the_kernel_that_its_settings_name_when_it_starts(CancellationToken token)
    {
        await using IVirtualMachine machine = Registered(Meta, out IHost host);
        using IHost _ = host;
        Assert.That(_apt.Commands, Is.Empty);

        // What the fake package holds is no kernel, which is told by its path in the cache.
        Assert.That(
            () => machine.StartAsync(token),
            Throws.InstanceOf<KernelImageException>().With.Message.Contains(Path.Combine(_directory, "cache")).And.Message.Contains("vmlinuz-6.1.0-9"));
        Assert.That(machine.State, Is.EqualTo(MachineState.Created));
    }

    [Test]
    public async Task A_package_that_cannot_be_fetched_is_the_error_of_the_start(CancellationToken token)
    {
        await using IVirtualMachine machine = Registered("linux-image-nosuch", out IHost host);
        using IHost _ = host;

        Assert.That(() => machine.StartAsync(token), Throws.InstanceOf<GuestAssetException>().With.Message.Contains("linux-image-nosuch"));
    }

    [Test]
    public async Task Fetching_can_be_cancelled(CancellationToken token)
    {
        _apt = new FakeApt { Delay = Timeout.InfiniteTimeSpan };
        await using IVirtualMachine machine = Registered(Meta, out IHost host);
        using IHost _ = host;
        using CancellationTokenSource cancel = new(200);

        Assert.That(() => machine.StartAsync(cancel.Token), Throws.InstanceOf<OperationCanceledException>());
        await machine.StopAsync(token);
    }

    private IVirtualMachine Registered(string kernel, out IHost host)
    {
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Configuration.AddInMemoryCollection([
            KeyValuePair.Create<string, string?>("Box:Kernel", kernel), KeyValuePair.Create<string, string?>("Box:Initrd", "busybox-static")]);
        builder.Services.AddSingleton(NewCache()).AddVirtualMachine("box", builder.Configuration.GetSection("Box"));
        host = builder.Build();
        return host.Services.GetRequiredService<IVirtualMachine>();
    }

    private GuestAssetCache NewCache() => new(
        new GuestAssetCacheOptions { Directory = Path.Combine(_directory, "cache") }, _apt, Path.Combine(_directory, "etc"));
}
