using System.Threading.Tasks.Sources;
using Uml.Storage.Blocks;

namespace Uml.Storage.Files;

/// <summary>A request to a file that waits for the storage, on a thread of the pool; used again and again.</summary>
internal sealed class HostFileRequest(HostFile file) : IThreadPoolWorkItem, IValueTaskSource
{
    private readonly HostFile _file = file;
    private ManualResetValueTaskSourceCore<bool> _result = new() { RunContinuationsAsynchronously = false };
    private HostFileOperation _operation;
    private long _offset;
    private BlockBuffers _buffers;
    private long _length;

    public ValueTask Task => new(this, _result.Version);

    public void Set(HostFileOperation operation, long offset, BlockBuffers buffers, long length) =>
        (_operation, _offset, _buffers, _length) = (operation, offset, buffers, length);

    public void Queue() => ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);

    void IThreadPoolWorkItem.Execute()
    {
        BlockIOException? failure = null;
        try
        {
            _file.Run(_operation, _offset, _buffers, _length);
        }
        catch (BlockIOException error)
        {
            failure = error;
        }

        // What follows runs here, before another request does: one that waits is begun first.
        _file.Complete(this);
        if (failure is null)
        {
            _result.SetResult(true);
        }
        else
        {
            _result.SetException(failure);
        }
    }

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _result.GetStatus(token);

    void IValueTaskSource.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _result.OnCompleted(continuation, state, token, flags);

    void IValueTaskSource.GetResult(short token)
    {
        try
        {
            _result.GetResult(token);
        }
        finally
        {
            _buffers = default;
            _result.Reset();
            _file.Return(this);
        }
    }
}
