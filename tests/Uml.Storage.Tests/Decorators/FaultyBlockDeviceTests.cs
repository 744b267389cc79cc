using Uml.Storage.Blocks;
using Uml.Storage.Decorators;

namespace Uml.Storage.Tests.Decorators;

public sealed class FaultyBlockDeviceTests
{
    private const int Length = 1 << 20;

    private static readonly byte[] Ones = [.. Enumerable.Repeat((byte)1, 4096)];

    [Test]
    public async Task The_nth_request_of_a_kind_fails_with_its_error()
    {
        await using FaultyBlockDevice device = new MemoryBlockDevice(Length).WithFaults(
            new BlockFault { Kinds = BlockRequestKind.Write, Nth = 2, Error = BlockError.NoSpace });

        await device.WriteAsync(0, Ones);
        await device.ReadAsync(0, new byte[512]);
        Assert.That((await Fails(() => device.WriteAsync(0, Ones))).Error, Is.EqualTo(BlockError.NoSpace));
        await device.WriteAsync(0, Ones);
        Assert.That(device.FailedRequests, Is.EqualTo(1));
    }

    [Test]
    public async Task A_range_gone_bad_fails_for_every_request_that_touches_it_and_for_no_other()
    {
        await using FaultyBlockDevice device = new MemoryBlockDevice(Length).WithFaults(new BlockFault { Offset = 4096, Length = 512 });

        await device.ReadAsync(0, new byte[4096]);
        await device.ReadAsync(4608, new byte[512]);
        await device.FlushAsync();
        Assert.That((await Fails(() => device.ReadAsync(0, new byte[4608]))).Message, Does.Contain("Read of 4608 bytes at 0"));
        await Fails(() => device.WriteZeroesAsync(4096, 8192, mayDiscard: false));
        await Fails(() => device.DiscardAsync(4096, 512));
    }

    [Test]
    public async Task A_flush_can_fail_once()
    {
        await using FaultyBlockDevice device = new MemoryBlockDevice(Length).WithFaults(
            new BlockFault { Kinds = BlockRequestKind.Flush, Repeat = BlockFaultRepeat.Once });

        await Fails(() => device.FlushAsync());
        await device.FlushAsync();
    }

    [Test]
    public async Task What_failed_once_goes_on_failing_when_it_is_sticky()
    {
        await using FaultyBlockDevice device = new MemoryBlockDevice(Length).WithFaults(
            new BlockFault { Kinds = BlockRequestKind.Read, Nth = 2, Repeat = BlockFaultRepeat.Sticky });

        await device.ReadAsync(0, new byte[512]);
        await Fails(() => device.ReadAsync(0, new byte[512]));
        await Fails(() => device.ReadAsync(0, new byte[512]));
        await device.WriteAsync(0, Ones);
    }

    [Test]
    public async Task A_predicate_of_the_test_decides()
    {
        await using FaultyBlockDevice device = new MemoryBlockDevice(Length).WithFaults(new BlockFault { Predicate = request => request.Length > 512 });

        Assert.That(async () => await device.WriteAsync(0, new byte[512]), Throws.Nothing);
        await Fails(() => device.WriteAsync(0, Ones));
    }

    [Test]
    public async Task One_seed_fails_the_same_requests_and_another_one_others()
    {
        string first = await RunAsync(5);
        Assert.That(await RunAsync(5), Is.EqualTo(first));
        Assert.That(await RunAsync(6), Is.Not.EqualTo(first));

        static async Task<string> RunAsync(int seed)
        {
            await using FaultyBlockDevice device = new MemoryBlockDevice(Length).WithFaults(seed, new BlockFault { Probability = 0.5 });
            string failed = "";
            for (int i = 0; i < 64; i++)
            {
                long before = device.FailedRequests;
                Task read = device.ReadAsync(0, new byte[512]).AsTask();
                await read.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                failed += device.FailedRequests == before ? '.' : 'x';
            }

            return failed;
        }
    }

    [Test]
    public async Task A_short_transfer_carries_out_the_blocks_before_it()
    {
        MemoryBlockDevice memory = new(Length);
        FaultyBlockDevice device = memory.WithFaults(new BlockFault { Kinds = BlockRequestKind.Write, TransferredBytes = 1300 });

        await Fails(() => device.WriteAsync(0, Ones));
        byte[] read = new byte[4096];
        await memory.ReadAsync(0, read);
        Assert.That(read.Count(value => value == 1), Is.EqualTo(1024));
        Assert.That(read.AsSpan(0, 1024).Contains((byte)0), Is.False);
    }

    [Test]
    public async Task A_torn_write_takes_the_power_with_it()
    {
        MemoryBlockDevice memory = new(Length);
        FaultyBlockDevice device = memory.WithFaults(
            3, new BlockFault { Kinds = BlockRequestKind.Write, Nth = 2, TransfersAtRandom = true, Repeat = BlockFaultRepeat.PowerLoss });

        await device.WriteAsync(0, Ones);
        await Fails(() => device.WriteAsync(4096, Ones));
        Assert.That((await Fails(() => device.ReadAsync(0, new byte[512]))).Error, Is.EqualTo(BlockError.Gone));
        Assert.That((await Fails(() => device.FlushAsync())).Error, Is.EqualTo(BlockError.Gone));
        byte[] read = new byte[4096];
        await memory.ReadAsync(4096, read);
        int torn = read.Count(value => value == 1);
        Assert.That(torn % 512, Is.Zero);
        Assert.That(torn, Is.LessThan(4096));
        Assert.That(read.AsSpan(0, torn).Contains((byte)0), Is.False);
    }

    [Test]
    public async Task A_new_size_fails_like_any_request()
    {
        MemoryBlockDevice memory = new(Length);
        await using FaultyBlockDevice device = memory.WithFaults(
            new BlockFault { Kinds = BlockRequestKind.Resize, Error = BlockError.NoSpace, TransferredBytes = 4096, Repeat = BlockFaultRepeat.Once });

        Assert.That((await Fails(() => device.ResizeAsync(2 * Length))).Error, Is.EqualTo(BlockError.NoSpace));
        Assert.That(memory.Length, Is.EqualTo(Length));
        await device.ResizeAsync(2 * Length);
        device.CutPower();
        Assert.That((await Fails(() => device.ResizeAsync(Length))).Error, Is.EqualTo(BlockError.Gone));
        Assert.That(memory.Length, Is.EqualTo(2 * Length));
    }

    [Test]
    public async Task Power_can_be_cut_by_hand()
    {
        FaultyBlockDevice device = new MemoryBlockDevice(Length).WithFaults();
        device.CutPower();
        Assert.That((await Fails(() => device.WriteAsync(0, Ones))).Error, Is.EqualTo(BlockError.Gone));
    }

    [Test]
    public void Faults_that_make_no_sense_are_refused()
    {
        MemoryBlockDevice memory = new(Length);
        Assert.That(() => memory.WithFaults(new BlockFault { Probability = 1.5 }), Throws.ArgumentException);
        Assert.That(() => memory.WithFaults(new BlockFault { Nth = 0 }), Throws.ArgumentException);
        Assert.That(() => memory.WithFaults(new BlockFault { Offset = -1 }), Throws.ArgumentException);
    }

    private static Task<BlockIOException> Fails(Func<ValueTask> request) => Failure.OfAsync(request);
}
