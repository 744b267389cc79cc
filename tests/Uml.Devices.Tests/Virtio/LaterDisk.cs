using System.Threading.Tasks.Sources;
using Uml.Storage.Blocks;

namespace Uml.Devices.Tests.Virtio;

/// <summary>A disk in memory whose requests all end later, on a thread of the pool, and allocate nothing.</summary>
internal sealed class LaterDisk(long length) : IBlockDevice
{
    private readonly MemoryBlockDevice _disk = new(length);
    private readonly Stack<Request> _free = new();

    public long Length => _disk.Length;

    public bool IsReadOnly => false;

    public BlockLimits Limits => _disk.Limits;

    public ValueTask ReadAsync(long offset, BlockBuffers buffers, CancellationToken cancellationToken = default) => Begin(_disk.ReadAsync(offset, buffers, cancellationToken));

    public ValueTask WriteAsync(long offset, BlockBuffers buffers, CancellationToken cancellationToken = default) => Begin(_disk.WriteAsync(offset, buffers, cancellationToken));

    public ValueTask DisposeAsync() => _disk.DisposeAsync();

    private ValueTask Begin(ValueTask done)
    {
        done.GetAwaiter().GetResult();
        Request? request;
        lock (_free)
        {
            _free.TryPop(out request);
        }

        return (request ?? new Request(this)).Begin();
    }

    private sealed class Request(LaterDisk disk) : IValueTaskSource, IThreadPoolWorkItem
    {
        private ManualResetValueTaskSourceCore<bool> _result;

        public ValueTask Begin()
        {
            ValueTask task = new(this, _result.Version);
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
            return task;
        }

        public void Execute() => _result.SetResult(true);

        public ValueTaskSourceStatus GetStatus(short token) => _result.GetStatus(token);

        public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
            _result.OnCompleted(continuation, state, token, flags);

        public void GetResult(short token)
        {
            _result.GetResult(token);
            _result.Reset();
            lock (disk._free)
            {
                disk._free.Push(this);
            }
        }
    }
}
