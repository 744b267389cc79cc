using System.Diagnostics;
using Uml.Core.Boot;
using Uml.Core.Boot.Protocols;

namespace Uml.Core.Tests.Boot;

/// <summary>
/// Loads real kernels: all in the user's asset cache (Uml.Hosting's tests of category Guest put Debian's there), or the one
/// that UML_TEST_KERNEL names.
/// </summary>
[Category("Guest")]
public sealed class DebianKernelTests
{
    public static IEnumerable<string> Kernels()
    {
        if (Environment.GetEnvironmentVariable("UML_TEST_KERNEL") is string named)
        {
            return [named];
        }

        string cache = Environment.GetEnvironmentVariable("XDG_CACHE_HOME")
            ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache");
        string packages = Path.Combine(cache, "uml", "packages");
        return Directory.Exists(packages)
            ? Directory.EnumerateDirectories(packages, "linux-image-*").SelectMany(package => Directory.EnumerateFiles(Path.Combine(package, "boot"), "vmlinuz-*"))
            : [];
    }

    [Test]
    public void Distribution_kernels_load_by_both_entries([Values(BootProtocol.Auto, BootProtocol.Pvh)] BootProtocol protocol, [Values(52, 64, 256)] int megabytes)
    {
        List<string> kernels = [.. Kernels()];
        Assume.That(kernels, Is.Not.Empty, "no kernel in the cache; set UML_TEST_KERNEL to a bzImage");
        foreach (string kernel in kernels)
        {
            FakeMemory memory = new(megabytes << 20);
            BootRequest request = new()
            {
                Kernel = BootFile.FromPath(kernel),
                Protocol = protocol,
                Initrd = BootFile.FromBytes(new byte[100_000], "zeros"),
                CommandLine = "console=ttyS0",
                MemoryMap = BootMemoryLayout.CreateMemoryMap((ulong)megabytes << 20),
            };
            long start = Stopwatch.GetTimestamp();
            try
            {
                BootEntry entry = BootImage.Load(request, memory);
                TestContext.Out.WriteLine($"{Path.GetFileName(kernel)}: {Stopwatch.GetElapsedTime(start).TotalMilliseconds:0} ms, {entry.ImageStart:x}..{entry.ImageEnd:x}, entry {entry.EntryPoint:x}");
                Assert.That(memory.Span(entry.ImageStart, 64).ToArray(), Has.Some.Not.Zero);
                Assert.That(entry.InitrdAddress, Is.GreaterThanOrEqualTo(BootMemoryLayout.HighMemoryStart));
            }
            catch (KernelImageException e) when (megabytes < 256)
            {
                // Larger kernels and the PVH entry, which cannot be moved, need more; then the message has to say so.
                TestContext.Out.WriteLine($"{Path.GetFileName(kernel)}: {e.Message}");
                Assert.That(e.Message, Does.Contain("more memory"));
            }
        }
    }
}
