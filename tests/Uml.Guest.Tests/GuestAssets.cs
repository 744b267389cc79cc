using Uml.Hosting.Assets;

namespace Uml.Guest.Tests;

/// <summary>Kernels and busybox for all tests, fetched once into the user's cache.</summary>
[SetUpFixture]
public sealed class GuestAssets
{
    /// <summary>The kernel of tests that do not care which.</summary>
    public static KernelAsset Kernel { get; private set; } = null!;

    public static GuestAssetCache Cache { get; } = new();

    [OneTimeSetUp]
    public static async Task FetchAsync()
    {
        Kernel = await GetKernelAsync("linux-image-cloud-amd64");
        await Cache.GetBusyBoxAsync();
    }

    public static async Task<KernelAsset> GetKernelAsync(string name)
    {
        RequireApt();
        return await Cache.GetKernelAsync(name);
    }

    /// <summary>Ends the test where kernels cannot be fetched.</summary>
    public static void RequireApt()
    {
        if (!File.Exists("/usr/bin/apt-get"))
        {
            Assert.Ignore("This host has no apt to fetch kernels with.");
        }
    }
}
