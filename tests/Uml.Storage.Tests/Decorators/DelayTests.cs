using Microsoft.Extensions.Time.Testing;
using Uml.Storage.Blocks;
using Uml.Storage.Decorators;

namespace Uml.Storage.Tests.Decorators;

/// <summary>Latency and limits of rates, by a clock of the test's.</summary>
public sealed class DelayTests
{
    private readonly FakeTimeProvider _time = new();

    [Test]
    public async Task A_request_takes_its_latency_by_the_clock()
    {
        await using DelayedBlockDevice device = new MemoryBlockDevice(4096).WithLatency(TimeSpan.FromMilliseconds(5), time: _time);
        Task read = device.ReadAsync(0, new byte[512]).AsTask();
        _time.Advance(TimeSpan.FromMilliseconds(4));
        Assert.That(read.IsCompleted, Is.False);
        _time.Advance(TimeSpan.FromMilliseconds(1));
        await read;
    }

    [Test]
    public async Task Jitter_comes_on_top_and_follows_from_the_seed()
    {
        TimeSpan[] first = await RunAsync(1);
        Assert.That(await RunAsync(1), Is.EqualTo(first));
        Assert.That(await RunAsync(2), Is.Not.EqualTo(first));
        Assert.That(first, Is.All.InRange(TimeSpan.FromMilliseconds(10), TimeSpan.FromMilliseconds(21)));

        async Task<TimeSpan[]> RunAsync(int seed)
        {
            await using DelayedBlockDevice device = new(new MemoryBlockDevice(4096), new BlockLatencyOptions
            {
                Latency = TimeSpan.FromMilliseconds(10),
                Jitter = TimeSpan.FromMilliseconds(10),
                Seed = seed,
                Time = _time,
            });
            List<TimeSpan> times = [];
            for (int i = 0; i < 8; i++)
            {
                times.Add(await MeasureAsync(device.ReadAsync(0, new byte[512])));
            }

            return [.. times];
        }
    }

    [Test]
    public async Task Only_the_kinds_that_are_named_take_longer()
    {
        DelayedBlockDevice device = new(new MemoryBlockDevice(4096), new BlockLatencyOptions
        {
            Latency = TimeSpan.FromSeconds(1), Kinds = BlockRequestKind.Flush, Time = _time,
        });
        await device.WriteAsync(0, new byte[512]);
        Assert.That(device.FlushAsync().AsTask().IsCompleted, Is.False);
    }

    [Test]
    public async Task A_burst_goes_through_and_then_the_rate_holds()
    {
        await using RateLimitedBlockDevice device = new MemoryBlockDevice(1 << 20).WithRateLimit(
            new BlockRateOptions { BytesPerSecond = 1 << 20, Burst = TimeSpan.FromSeconds(0.5), Time = _time });

        Assert.That(await MeasureAsync(device.WriteAsync(0, new byte[1 << 19])), Is.EqualTo(TimeSpan.Zero));
        Assert.That(await MeasureAsync(device.WriteAsync(0, new byte[1 << 18])), Is.EqualTo(TimeSpan.FromSeconds(0.25)));
        _time.Advance(TimeSpan.FromSeconds(10));
        Assert.That(await MeasureAsync(device.ReadAsync(0, new byte[1 << 19])), Is.EqualTo(TimeSpan.Zero), "rest fills the bucket once");
        Assert.That(await MeasureAsync(device.ReadAsync(0, new byte[1 << 18])), Is.EqualTo(TimeSpan.FromSeconds(0.25)));
    }

    [Test]
    public async Task Requests_are_limited_by_number_flushes_too()
    {
        await using RateLimitedBlockDevice device = new MemoryBlockDevice(4096).WithRateLimit(
            new BlockRateOptions { RequestsPerSecond = 100, Burst = TimeSpan.FromMilliseconds(20), Time = _time });

        Assert.That(await MeasureAsync(device.FlushAsync()), Is.EqualTo(TimeSpan.Zero));
        Assert.That(await MeasureAsync(device.FlushAsync()), Is.EqualTo(TimeSpan.Zero));
        Assert.That(await MeasureAsync(device.FlushAsync()), Is.EqualTo(TimeSpan.FromMilliseconds(10)).Within(TimeSpan.FromMilliseconds(1)));
    }

    [Test]
    public async Task A_request_larger_than_the_burst_is_let_through_and_paid_for_by_the_next()
    {
        await using RateLimitedBlockDevice device = new MemoryBlockDevice(1 << 20).WithRateLimit(
            new BlockRateOptions { BytesPerSecond = 1 << 18, Time = _time });

        Assert.That(await MeasureAsync(device.WriteAsync(0, new byte[1 << 20])), Is.EqualTo(TimeSpan.Zero));
        Assert.That(await MeasureAsync(device.WriteAsync(0, new byte[1 << 18])), Is.EqualTo(TimeSpan.FromSeconds(4)));
    }

    [Test]
    public void Rates_and_times_out_of_range_are_refused()
    {
        MemoryBlockDevice memory = new(4096);
        Assert.That(() => memory.WithLatency(TimeSpan.FromSeconds(-1)), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => memory.WithRateLimit(new BlockRateOptions { BytesPerSecond = 0 }), Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    /// <summary>How long a request takes by the clock, which goes on by a millisecond at a time.</summary>
    private async Task<TimeSpan> MeasureAsync(ValueTask request)
    {
        Task task = request.AsTask();
        TimeSpan step = TimeSpan.FromMilliseconds(1);
        TimeSpan passed = TimeSpan.Zero;
        for (; !task.IsCompleted && passed < TimeSpan.FromMinutes(1); passed += step)
        {
            _time.Advance(step);
        }

        await task;
        return passed;
    }
}
