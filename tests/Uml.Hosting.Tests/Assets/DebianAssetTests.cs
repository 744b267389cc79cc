using Uml.Hosting.Assets;

namespace Uml.Hosting.Tests.Assets;

/// <summary>Fetches from the host's real Debian mirror into the user's cache.</summary>
[Category("Guest")]
public sealed class DebianAssetTests
{
    [TestCase("linux-image-cloud-amd64")]
    [TestCase("linux-image-cloud-amd64/bookworm-backports")]
    [CancelAfter(600_000)]
    public async Task A_Debian_kernel_arrives_with_its_modules(string name, CancellationToken cancellationToken)
    {
        KernelAsset kernel = await new GuestAssetCache().GetKernelAsync(name, cancellationToken);

        Assert.That(File.Exists(kernel.ImagePath), Is.True);
        Assert.That(Path.GetFileName(kernel.ModulesDirectory), Is.EqualTo(kernel.Release));
    }

    [Test]
    [CancelAfter(600_000)]
    public async Task Busybox_arrives_as_a_static_program(CancellationToken cancellationToken)
    {
        byte[] program = await File.ReadAllBytesAsync(await new GuestAssetCache().GetBusyBoxAsync(cancellationToken), cancellationToken);

        Assert.That(program.AsSpan(0, 4).ToArray(), Is.EqualTo("\u007fELF"u8.ToArray()));
    }
}
