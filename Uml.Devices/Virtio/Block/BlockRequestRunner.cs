using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging;
using Uml.Storage.Blocks;
using Uml.Storage.Decorators;

namespace Uml.Devices.Virtio.Block;

/// <summary>
/// Carries requests out, away from the machine's thread: one work item of the pool hands all that have come to the disk, which does at once what
/// it can and the rest in its own time.
/// </summary>
/// <param name="disk">The disk.</param>
/// <param name="name">Its name, for messages.</param>
/// <param name="logger">Gets requests that fail.</param>
/// <param name="onDone">Notified of each request that is done, on whatever thread.</param>
internal sealed class BlockRequestRunner(IBlockDevice disk, string name, ILogger logger, Action<BlockRequest> onDone) : IThreadPoolWorkItem
{
    /// <summary>Failures that are logged in full; a limit of ours against a disk that is gone.</summary>
    private const int MaximumReports = 8;

    /// <summary>For a driver that does not flush.</summary>
    private readonly WriteThroughBlockDevice _durable = disk.WithWriteThrough();
    private readonly IFlushable? _flushable = disk.GetCapability<IFlushable>();
    private readonly IDiscardable? _discardable = disk.GetCapability<IDiscardable>();
    private readonly IZeroable? _zeroable = disk.GetCapability<IZeroable>();
    private readonly ConcurrentQueue<BlockRequest> _submitted = new();
    private readonly object _idle = new();
    private int _scheduled, _reports;
    private int _running;

    /// <summary>Takes a request; <see cref="Start"/> follows behind the last of several.</summary>
    public void Submit(BlockRequest request)
    {
        CountUp();
        _submitted.Enqueue(request);
    }

    /// <summary>Carries a request out on the calling thread, as far as that needs no wait; whoever calls has a disk that does not wait.</summary>
    /// <returns>Whether it is done. If it is not, <c>onDone</c> is notified of it later, as of those that are submitted.</returns>
    public bool TryRunNow(BlockRequest request)
    {
        CountUp();
        if (!TryRun(request))
        {
            return false;
        }

        CountDown();
        return true;
    }

    /// <summary>Has the pool carry out what was submitted.</summary>
    public void Start()
    {
        if (!_submitted.IsEmpty && Interlocked.Exchange(ref _scheduled, 1) == 0)
        {
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        }
    }

    /// <summary>Waits until all that was submitted is done.</summary>
    public void WaitUntilIdle()
    {
        lock (_idle)
        {
            while (_running != 0)
            {
                Monitor.Wait(_idle);
            }
        }
    }

    /// <summary>Waits for a request.</summary>
    public void WaitFor(BlockRequest request)
    {
        lock (_idle)
        {
            while (!request.IsDone)
            {
                Monitor.Wait(_idle);
            }
        }
    }

    void IThreadPoolWorkItem.Execute()
    {
        while (_submitted.TryDequeue(out BlockRequest? request))
        {
            if (TryRun(request))
            {
                Finish(request);
            }
        }

        // What came meanwhile is either seen here or schedules anew.
        Interlocked.Exchange(ref _scheduled, 0);
        Start();
    }

#pragma warning disable CA1031 // Whatever a disk throws is that request's failure, and logged.
    /// <summary>Hands a request to the disk.</summary>
    /// <returns>Whether the disk did it before the call returned.</returns>
    private bool TryRun(BlockRequest request)
    {
        try
        {
            ValueTask task = Carry(request);
            if (!task.IsCompleted)
            {
                request.Pending = task;
                request.OnEnded ??= CreateContinuation(request);
                task.ConfigureAwait(false).GetAwaiter().UnsafeOnCompleted(request.OnEnded);
                return false;
            }

            task.GetAwaiter().GetResult();
            request.Status = VirtioBlockLayout.Ok;
        }
        catch (Exception failure)
        {
            Report(request, failure);
        }

        return true;
    }

    /// <summary>A method of its own: a closure is made where its variables are, at every call.</summary>
    private Action CreateContinuation(BlockRequest request) => () => End(request);

    /// <summary>Takes the result of a request that the disk did elsewhere, on whatever thread.</summary>
    private void End(BlockRequest request)
    {
        try
        {
            request.Pending.GetAwaiter().GetResult();
            request.Status = VirtioBlockLayout.Ok;
        }
        catch (Exception failure)
        {
            Report(request, failure);
        }

        Finish(request);
    }
#pragma warning restore CA1031

    private void Finish(BlockRequest request)
    {
        request.IsDone = true;
        onDone(request);

        // Last: who has waited may forget all requests, and no notification follows.
        CountDown();
    }

    private void CountUp()
    {
        lock (_idle)
        {
            _running++;
        }
    }

    private void CountDown()
    {
        lock (_idle)
        {
            _running--;
            Monitor.PulseAll(_idle);
        }
    }

    private void Report(BlockRequest request, Exception failure)
    {
        if (Interlocked.Increment(ref _reports) <= MaximumReports)
        {
            VirtioBlockLog.RequestFailed(logger, failure, name, request.Type, request.Offset);
        }
    }

    private ValueTask Carry(BlockRequest request) => request.Type switch
    {
        VirtioBlockLayout.In => disk.ReadAsync(request.Offset, request.Data),
        VirtioBlockLayout.Out => (request.IsWriteThrough ? _durable : disk).WriteAsync(request.Offset, request.Data),
        VirtioBlockLayout.FlushRequest => _flushable?.FlushAsync() ?? ValueTask.CompletedTask,
        _ => RunRangesAsync(request),
    };

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask RunRangesAsync(BlockRequest request)
    {
        for (int i = 0; i < request.Ranges.Length; i++)
        {
            (long offset, long length, bool mayUnmap) = request.Ranges[i];
            if (request.Type == VirtioBlockLayout.DiscardRequest)
            {
                await _discardable!.DiscardAsync(offset, length).ConfigureAwait(false);
            }
            else
            {
                await _zeroable!.WriteZeroesAsync(offset, length, mayUnmap).ConfigureAwait(false);
            }
        }

        // Once, behind the last range.
        if (request.IsWriteThrough && _flushable is not null)
        {
            await _flushable.FlushAsync().ConfigureAwait(false);
        }
    }
}
