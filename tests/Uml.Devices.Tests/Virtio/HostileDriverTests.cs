using Uml.Hosting.Testing;
using Uml.Storage.Blocks;

namespace Uml.Devices.Tests.Virtio;

/// <summary>Drivers that break the rules: the device needs a reset, and nothing else happens.</summary>
internal sealed class HostileDriverTests
{
    private const byte NeedsReset = 64;
    private const ushort Next = 1, Indirect = 4;

    private static readonly Dictionary<string, Action<DiskBench>> s_breaks = new()
    {
        ["a head that is no descriptor"] = bench => bench.Queue.Publish(9999),
        ["a chain that is a loop"] = bench =>
        {
            bench.Queue.WriteDescriptor(bench.Queue.DescriptorAddress(0), new(DiskBench.Data, 16, false), Next, 0);
            bench.Queue.Publish(0);
        },
        ["a next that is no descriptor"] = bench =>
        {
            bench.Queue.WriteDescriptor(bench.Queue.DescriptorAddress(0), new(DiskBench.Data, 16, false), Next, 60000);
            bench.Queue.Publish(0);
        },
        ["an index that runs ahead"] = bench => bench.Write(bench.Queue.Available + 2, [0xFF, 0x7F]),
        ["a chain without a header"] = bench => bench.Queue.Add([new(DiskBench.Data, 1, true)]),
        ["a chain without a result"] = bench => bench.Queue.Add([new(DiskBench.Data, 16, false)]),
        ["a header that is too short"] = bench => bench.Queue.Add([new(DiskBench.Data, 15, false), new(DiskBench.Data, 1, true)]),
        ["something to be read behind something to be written"] = bench =>
            bench.Queue.Add([new(DiskBench.Data, 16, false), new(DiskBench.Data, 1, true), new(DiskBench.Data, 1, false)]),
        ["a header outside RAM"] = bench => bench.Queue.Add([new(0xC000_0000, 16, false), new(DiskBench.Data, 1, true)]),
        ["data outside RAM"] = bench => bench.Submit(DiskBench.In, 0, 0, false, new VirtioBuffer(0xFEE0_0000, 512, true)),
        ["data that runs out of RAM"] = bench => bench.Submit(DiskBench.In, 0, 0, false, new VirtioBuffer((8 << 20) - 256, 512, true)),
        ["data at the end of the address space"] = bench => bench.Submit(DiskBench.Out, 0, 0, false, new VirtioBuffer(ulong.MaxValue - 100, 512, false)),
        ["data of 4 GiB"] = bench => bench.Submit(DiskBench.In, 0, 0, false, new VirtioBuffer(DiskBench.Data, uint.MaxValue, true)),
        ["a result outside RAM"] = bench => bench.Queue.Add([new(bench.WriteHeader(DiskBench.Flush, 0), 16, false), new(0xC000_0000, 1, true)]),
        ["a name that has no place in RAM"] = bench => bench.Submit(DiskBench.GetId, 0, 0, false, new VirtioBuffer(0xC000_0000, 20, true)),
        ["a table in a table"] = bench =>
        {
            bench.Queue.WriteDescriptor(DiskBench.Data, new(DiskBench.Data, 16, false), Indirect, 0);
            Table(bench, DiskBench.Data, 16, Indirect);
        },
        ["a table that is a loop"] = bench =>
        {
            bench.Queue.WriteDescriptor(DiskBench.Data, new(DiskBench.Data, 16, false), Next, 0);
            Table(bench, DiskBench.Data, 16, Indirect);
        },
        ["a table that is left"] = bench =>
        {
            bench.Queue.WriteDescriptor(DiskBench.Data, new(DiskBench.Data, 16, false), Next, 1);
            Table(bench, DiskBench.Data, 16, Indirect);
        },
        ["a table of no length"] = bench => Table(bench, DiskBench.Data, 0, Indirect),
        ["a table of half a descriptor"] = bench => Table(bench, DiskBench.Data, 24, Indirect),
        ["a table that goes on in the queue"] = bench => Table(bench, DiskBench.Data, 16, Indirect | Next),
        ["a table outside RAM"] = bench => Table(bench, 0xC000_0000, 16, Indirect),
        ["a table of 4 GiB of loops"] = bench => Table(bench, DiskBench.Data, 0xFFFF_FFF0, Indirect),
        ["half a range of a discard"] = bench => bench.Submit(DiskBench.Discard, 0, 0, false, new VirtioBuffer(DiskBench.Data, 8, false)),
        ["a thousand ranges of a discard"] = bench => bench.Submit(DiskBench.Discard, 0, 0, false, new VirtioBuffer(DiskBench.Data, 16000, false)),
    };

    public static IEnumerable<string> Breaks => s_breaks.Keys;

    [TestCaseSource(nameof(Breaks))]
    public async Task The_device_needs_a_reset_and_works_again_behind_it(string what)
    {
        await using MemoryBlockDevice disk = new(1 << 20);
        using DiskBench bench = new(disk, queueSize: 64);
        s_breaks[what](bench);
        bench.Driver.Notify(0);
        bench.Sandbox.Advance(1_000_000);
        Assert.That(bench.Driver.Status & NeedsReset, Is.EqualTo(NeedsReset));
        Assert.That(bench.Driver.TakeInterrupt(), Is.EqualTo(bench.Driver.QueueCount), "the driver is told");

        bench.Submit(DiskBench.Flush, 0, 3);
        bench.Driver.Notify(0);
        bench.Sandbox.Advance(1_000_000);
        Assert.That(bench.Result(3), Is.EqualTo(0xEE), "nothing is done before the reset");

        bench.Start(queueSize: 64);
        Assert.That(bench.Run(DiskBench.In, 0, new VirtioBuffer(DiskBench.Data, 512, true)), Is.Zero);
    }

    [Test]
    public async Task A_table_is_only_one_when_that_was_agreed_on()
    {
        await using MemoryBlockDevice disk = new(1 << 20);
        using DiskBench bench = new(disk, ~DiskBench.IndirectFeature);
        bench.Submit(DiskBench.In, 0, 0, isIndirect: true, new VirtioBuffer(DiskBench.Data, 512, true));
        bench.Driver.Notify(0);
        Assert.That(bench.Driver.Status & NeedsReset, Is.EqualTo(NeedsReset));
    }

    [Test]
    public async Task Buffers_over_the_rings_do_no_harm_to_the_host()
    {
        await using MemoryBlockDevice disk = new(1 << 20);
        byte[] garbage = new byte[1 << 20];
        new Random(1).NextBytes(garbage);
        await disk.WriteAsync(0, garbage);
        using DiskBench bench = new(disk, queueSize: 64);
        for (int i = 0; i < 20; i++)
        {
            bench.Submit(DiskBench.In, (ulong)i * 8, i, false, new VirtioBuffer(bench.Queue.Descriptors, 4096, true));
        }

        bench.Driver.Notify(0);
        for (int i = 0; i < 20; i++)
        {
            bench.Driver.Notify(0);
            bench.Sandbox.Advance(1_000_000);
        }

        bench.Start(queueSize: 64);
        Assert.That(bench.Run(DiskBench.Flush, 0), Is.Zero);
    }

    [Test]
    public async Task Random_registers_and_rings_do_no_harm([Range(1, 20)] int seed)
    {
        await using MemoryBlockDevice disk = new(1 << 20);
        using DiskBench bench = new(disk, queueSize: 16);
        Random random = new(seed);
        byte[] bytes = new byte[64];
        for (int i = 0; i < 400; i++)
        {
            switch (random.Next(5))
            {
                case 0:
                    bench.Driver.Write(random.Next(60), 1 << random.Next(4), (ulong)random.NextInt64());
                    break;
                case 1:
                    bench.Driver.Read(random.Next(60), 1 << random.Next(4));
                    break;
                case 2:
                    random.NextBytes(bytes);
                    bench.Write(bench.Queue.Descriptors + (ulong)random.Next(600), bytes[..random.Next(1, 64)]);
                    break;
                case 3:
                    bench.Sandbox.Advance((ulong)random.Next(100_000));
                    break;
                default:
                    bench.Driver.Notify(0);
                    break;
            }
        }

        bench.Start(queueSize: 16);
        Assert.That(bench.Run(DiskBench.In, 0, new VirtioBuffer(DiskBench.Data, 512, true)), Is.Zero);
    }

    [Test]
    public async Task What_was_asked_for_before_a_rule_is_broken_ends([Values] bool isVirtual)
    {
        await using MemoryBlockDevice disk = new(1 << 20);
        DiskBench bench = new(disk, queueSize: 64, isVirtual: isVirtual);
        bench.Submit(DiskBench.In, 0, 0, false, new VirtioBuffer(DiskBench.Data, 512, true));
        bench.Submit(DiskBench.GetId, 0, 1, false, new VirtioBuffer(DiskBench.Data + 512, 20, true));
        bench.Queue.Publish(9999);
        await EndsAsync(bench);
    }

    [Test]
    public async Task A_result_that_cannot_be_given_does_not_keep_others_from_ending([Values] bool isVirtual)
    {
        await using MemoryBlockDevice disk = new(1 << 20);
        DiskBench bench = new(disk, queueSize: 64, isVirtual: isVirtual);
        bench.Queue.Add([new(bench.WriteHeader(DiskBench.Flush, 0), 16, false), new(0xC000_0000, 1, true)]);
        bench.Submit(DiskBench.In, 0, 1, false, new VirtioBuffer(DiskBench.Data, 512, true));
        bench.Submit(DiskBench.Flush, 0, 2);
        await EndsAsync(bench);
    }

    /// <summary>A driver that broke a rule resets the device and uses it again; the host waits for nothing forever.</summary>
    private static async Task EndsAsync(DiskBench bench)
    {
        await Task.Run(() =>
        {
            bench.Driver.Notify(0);
            bench.WaitFor(() => (bench.Driver.Status & NeedsReset) != 0);
            bench.Driver.Status = 0;
            bench.WaitFor(() => bench.Driver.Status == 0);
            bench.Start(queueSize: 64);
            bench.Submit(DiskBench.In, 0, 0, false, new VirtioBuffer(DiskBench.Data, 512, true));
            bench.Driver.Notify(0);
            bench.WaitFor(() => bench.Queue.UsedIndex == 1);
            Assert.That(bench.Result(), Is.Zero);
            bench.Dispose();
        }).WaitAsync(TimeSpan.FromSeconds(60));
    }

    private static void Table(DiskBench bench, ulong address, uint length, ushort flags)
    {
        bench.Queue.WriteDescriptor(bench.Queue.DescriptorAddress(0), new(address, length, false), flags, 1);
        bench.Queue.Publish(0);
    }
}
