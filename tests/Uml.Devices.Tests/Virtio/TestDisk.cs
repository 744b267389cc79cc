using Uml.Storage.Blocks;

namespace Uml.Devices.Tests.Virtio;

/// <summary>A disk of a mebibyte that counts, fails, or waits, as a test wants.</summary>
internal sealed class TestDisk : IBlockDevice, IFlushable, INonBlocking
{
    private readonly MemoryBlockDevice _disk = new(1 << 20);

    public int Flushes { get; private set; }

    public Exception? Failure { get; set; }

    /// <summary>What requests wait for.</summary>
    public TaskCompletionSource? Gate { get; init; }

    /// <summary>Whether the disk says that its reads and writes never wait.</summary>
    public bool NeverWaits { get; init; }

    public bool ReadNeverWaits(long offset, int length) => NeverWaits;

    public bool WriteNeverWaits(long offset, int length) => NeverWaits;

    /// <summary>The threads that reads and writes came from, in order.</summary>
    public List<Thread> Threads { get; } = [];

    public long Length => _disk.Length;

    public bool IsReadOnly => false;

    public BlockLimits Limits => _disk.Limits;

    public async ValueTask ReadAsync(long offset, BlockBuffers buffers, CancellationToken cancellationToken = default)
    {
        Threads.Add(Thread.CurrentThread);
        await WaitAsync();
        await _disk.ReadAsync(offset, buffers, cancellationToken);
    }

    public async ValueTask WriteAsync(long offset, BlockBuffers buffers, CancellationToken cancellationToken = default)
    {
        Threads.Add(Thread.CurrentThread);
        await WaitAsync();
        await _disk.WriteAsync(offset, buffers, cancellationToken);
    }

    public async ValueTask FlushAsync(CancellationToken cancellationToken = default)
    {
        await WaitAsync();
        Flushes++;
    }

    public ValueTask DisposeAsync() => _disk.DisposeAsync();

    private Task WaitAsync() => Failure is null ? Gate?.Task ?? Task.CompletedTask : Task.FromException(Failure);
}
