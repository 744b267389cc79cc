using Uml.Storage.Blocks;

namespace Uml.Storage.Tests;

/// <summary>Random requests to a device, beside an array that has what the device has to have.</summary>
internal sealed class BlockModel(IBlockDevice device, byte[] contents, int seed)
{
    private readonly Random _random = new(seed);

    public byte[] Contents { get; } = contents;

    /// <summary>Sends requests one by one, and compares what is read.</summary>
    public async Task RunAsync(int requests, Func<Task>? onFlush = null)
    {
        for (int i = 0; i < requests; i++)
        {
            int sectors = (int)(device.Length / 512);
            int start = _random.Next(sectors);
            int count = Math.Min(sectors - start, 1 + (_random.Next(4) == 0 ? _random.Next(300) : _random.Next(16)));
            await RunOneAsync(start * 512, count * 512, onFlush);
        }
    }

    /// <summary>Asserts that all of the device is as it has to be.</summary>
    public async Task CheckAsync(IBlockDevice? other = null)
    {
        byte[] all = new byte[Contents.Length];
        await (other ?? device).ReadAsync(0, all);
        Assert.That(FirstDifference(all), Is.EqualTo(-1), "first difference");
    }

    private int FirstDifference(byte[] all)
    {
        int same = all.AsSpan().CommonPrefixLength(Contents);
        return same == all.Length ? -1 : same;
    }

    private async Task RunOneAsync(int offset, int length, Func<Task>? onFlush)
    {
        Memory<byte> range = Contents.AsMemory(offset, length);
        switch (_random.Next(12))
        {
            case 0 when device.GetCapability<IFlushable>() is { } flushable:
                await flushable.FlushAsync();
                await (onFlush?.Invoke() ?? Task.CompletedTask);
                break;
            case 1 when device.GetCapability<IZeroable>() is { } zeroable:
                await zeroable.WriteZeroesAsync(offset, length, mayDiscard: _random.Next(2) == 0);
                range.Span.Clear();
                break;
            case < 7:
                byte[] data = new byte[length];
                _random.NextBytes(data);
                data.CopyTo(range);
                await device.WriteAsync(offset, Cut(data));
                break;
            default:
                byte[] read = new byte[length];
                await device.ReadAsync(offset, Cut(read));
                Assert.That(read.AsSpan().SequenceEqual(range.Span), $"{length} bytes at {offset}");
                break;
        }
    }

    /// <summary>The same bytes in pieces of any size.</summary>
    private BlockBuffers Cut(byte[] bytes)
    {
        List<Memory<byte>> pieces = [];
        for (int done = 0; done < bytes.Length;)
        {
            int length = Math.Min(bytes.Length - done, _random.Next(5) switch { 0 => 0, 1 => 1 + _random.Next(600), 2 => 512, _ => 4096 });
            pieces.Add(bytes.AsMemory(done, length));
            done += length;
        }

        return _random.Next(2) == 0 ? new BlockBuffers(bytes) : new BlockBuffers(pieces.ToArray());
    }
}
