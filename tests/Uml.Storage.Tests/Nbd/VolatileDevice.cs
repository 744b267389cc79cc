using Uml.Storage.Blocks;

namespace Uml.Storage.Tests.Nbd;

/// <summary>A device with a write cache that can be lost, and that can be told to fail or to wait.</summary>
internal sealed class VolatileDevice(int length) : IBlockDevice, IFlushable, IDiscardable, IZeroable
{
    private readonly Lock _lock = new();
    private readonly byte[] _durable = new byte[length];
    private byte[] _cache = new byte[length];
    private int _waiting;

    public long Length => length;

    public bool IsReadOnly => false;

    public BlockLimits Limits { get; init; } = BlockLimits.Default;

    /// <summary>What the next requests of a kind throw.</summary>
    public Exception? OnWrite { get; set; }

    public Exception? OnFlush { get; set; }

    public Exception? OnRead { get; set; }

    /// <summary>What requests wait for.</summary>
    public Task Gate { get; set; } = Task.CompletedTask;

    /// <summary>Requests that wait for it.</summary>
    public int Waiting => Volatile.Read(ref _waiting);

    public int Flushes { get; private set; }

    public int Writes { get; private set; }

    public byte[] Durable
    {
        get
        {
            lock (_lock)
            {
                return [.. _durable];
            }
        }
    }

    /// <summary>Loses what was not flushed.</summary>
    public void Crash()
    {
        lock (_lock)
        {
            _cache = [.. _durable];
        }
    }

    public async ValueTask ReadAsync(long offset, BlockBuffers buffers, CancellationToken cancellationToken = default)
    {
        await PassAsync();
        lock (_lock)
        {
            _ = OnRead is null ? 0 : throw OnRead;
            buffers.CopyFrom(_cache.AsSpan((int)offset, buffers.Length));
        }
    }

    public async ValueTask WriteAsync(long offset, BlockBuffers buffers, CancellationToken cancellationToken = default)
    {
        await PassAsync();
        lock (_lock)
        {
            _ = OnWrite is null ? 0 : throw OnWrite;
            Writes++;
            buffers.CopyTo(_cache.AsSpan((int)offset));
        }
    }

    public async ValueTask FlushAsync(CancellationToken cancellationToken = default)
    {
        await PassAsync();
        lock (_lock)
        {
            _ = OnFlush is null ? 0 : throw OnFlush;
            Flushes++;
            _cache.CopyTo(_durable, 0);
        }
    }

    public ValueTask DiscardAsync(long offset, long length, CancellationToken cancellationToken = default) =>
        WriteZeroesAsync(offset, length, mayDiscard: true, cancellationToken);

    public async ValueTask WriteZeroesAsync(long offset, long length, bool mayDiscard, CancellationToken cancellationToken = default)
    {
        await PassAsync();
        lock (_lock)
        {
            _ = OnWrite is null ? 0 : throw OnWrite;
            _cache.AsSpan((int)offset, (int)length).Clear();
        }
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private async ValueTask PassAsync()
    {
        Interlocked.Increment(ref _waiting);
        await Gate;
        Interlocked.Decrement(ref _waiting);
    }
}
