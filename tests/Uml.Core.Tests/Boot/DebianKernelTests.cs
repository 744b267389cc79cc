using System.Diagnostics;
using Uml.Core.Boot;

namespace Uml.Core.Tests.Boot;

/// <summary>Loads a real kernel; UML_TEST_KERNEL names a bzImage.</summary>
[Category("Guest")]
public sealed class DebianKernelTests
{
    [Test]
    public void A_distribution_kernel_loads_within_64_MiB()
    {
        string? path = Environment.GetEnvironmentVariable("UML_TEST_KERNEL");
        Assume.That(path, Is.Not.Null, "set UML_TEST_KERNEL to a bzImage");
        FakeMemory memory = new(64 << 20);
        BootRequest request = new()
        {
            Kernel = BootFile.FromPath(path!),
            Initrd = BootFile.FromBytes(new byte[100_000], "zeros"),
            CommandLine = "console=ttyS0",
            MemoryMap = BootMemoryLayout.CreateMemoryMap(64 << 20),
        };
        long start = Stopwatch.GetTimestamp();
        BootEntry entry = BootImage.Load(request, memory);
        TestContext.Out.WriteLine($"{Stopwatch.GetElapsedTime(start).TotalMilliseconds:0} ms; {entry}");

        Assert.That(entry.Kind, Is.EqualTo(BootEntryKind.Linux64));
        Assert.That(entry.EntryPoint, Is.EqualTo(0x1000000));
        Assert.That(memory.Text(memory.U32(entry.Rsi + 0x228)), Is.EqualTo("console=ttyS0"));
        Assert.That(memory.Span(entry.Rsi + 0x202, 4).ToArray(), Is.EqualTo("HdrS"u8.ToArray()));
        Assert.That(memory.U32(entry.Rsi + 0x218), Is.EqualTo(entry.InitrdAddress));
        Assert.That(entry.InitrdAddress, Is.GreaterThanOrEqualTo(BootMemoryLayout.HighMemoryStart));
    }
}
