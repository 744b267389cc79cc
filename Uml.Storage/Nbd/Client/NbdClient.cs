using System.Collections.Concurrent;
using Uml.Storage.Blocks;
using Uml.Storage.Nbd.Protocol;

namespace Uml.Storage.Nbd.Client;

/// <summary>
/// The requests to one export, over whatever connection there is. <see cref="NbdSession"/> makes connections and says when they come and go; requests
/// stay, and are sent again.
/// </summary>
/// <remarks>
/// A request is admitted when there is a place for it and, for a write, room in the journal; until then it waits in order. It is done once
/// the server has replied and the sender does not need its buffers any more.
/// </remarks>
internal sealed class NbdClient : INbdMessageSource
{
    private readonly Lock _lock = new();
    private readonly ConcurrentQueue<NbdRequest> _unused = new();
    private readonly NbdSlots _slots;
    private readonly Queue<NbdRequest> _waiting = new();
    private readonly Queue<NbdRequest> _toSend = new();
    private readonly NbdEndPoint _end;
    private readonly TimeProvider _time;
    private NbdJournal? _journal;
    private NbdClientState _state = NbdClientState.Down;
    private string _reason = "";
    private BlockIOException? _flushFailure;
    private NbdRequest? _ownFlush;
    private TaskCompletionSource? _idle;

    public NbdClient(NbdEndPoint end, NbdClientOptions options, NbdJournal? journal)
    {
        (_end, _time, _journal) = (end, options.TimeProvider, journal);
        _slots = new NbdSlots(options.MaximumRequests);
    }

    /// <summary>Raised on the reading loop for each reply; what the session knows by it is that the connection works.</summary>
    public Action? Replied { get; set; }

    public NbdSignal Signal { get; } = new();

    public bool IsClosed { get; private set; }

    /// <summary>Makes a request; what is returned is to be awaited once.</summary>
    public ValueTask Submit(NbdCommand command, NbdCommandFlags flags, long offset, uint length, BlockBuffers buffers)
    {
        NbdRequest request = _unused.TryDequeue(out NbdRequest? unused) ? unused : new NbdRequest(this);
        request.Set(command, flags, offset, length, buffers);
        ValueTask task = request.Task;
        bool isToSend;
        lock (_lock)
        {
            if (_state == NbdClientState.Failing)
            {
                request.Complete(Gone(request));
                return task;
            }

            request.LostAt = _state == NbdClientState.Ready ? null : _time.GetTimestamp();
            if (_waiting.Count > 0 || !TryAdmit(request))
            {
                _waiting.Enqueue(request);
            }

            isToSend = _toSend.Count > 0;
        }

        if (isToSend)
        {
            Signal.Set();
        }

        return task;
    }

    public void Return(NbdRequest request) => _unused.Enqueue(request);

    public INbdMessage? TryTake()
    {
        lock (_lock)
        {
            return _toSend.TryDequeue(out NbdRequest? request) ? request : null;
        }
    }

    public void OnSent(INbdMessage message)
    {
        NbdRequest request = (NbdRequest)message;
        lock (_lock)
        {
            request.IsSent = true;
            if (request.IsReplied)
            {
                Finish(request);
            }
        }
    }

    /// <summary>The request that a reply is to.</summary>
    /// <exception cref="NbdProtocolException">There is none.</exception>
    public NbdRequest Find(ulong cookie)
    {
        lock (_lock)
        {
            return _slots.Find(cookie) ?? throw new NbdProtocolException($"it replies to {cookie:X}H, which is no request that it owes a reply to");
        }
    }

    public void OnReplied(NbdRequest request)
    {
        bool isToSend;
        lock (_lock)
        {
            request.IsReplied = true;
            if (request.IsSent)
            {
                Finish(request);
            }

            isToSend = _toSend.Count > 0;
        }

        Replied?.Invoke();
        if (isToSend)
        {
            Signal.Set();
        }
    }

    /// <summary>A new connection is there. Requests wait until what the last one may have lost is written again.</summary>
    /// <returns>What that is, in order.</returns>
    public NbdJournal.Entry[] BeginReplay()
    {
        lock (_lock)
        {
            _toSend.Clear();
            IsClosed = false;
            return _journal?.ToArray() ?? [];
        }
    }

    /// <summary>Writes again what may be lost; one at a time, since later ones may cover earlier ones.</summary>
    public async Task ReplayAsync(NbdJournal.Entry[] entries)
    {
        foreach (NbdJournal.Entry entry in entries)
        {
            NbdRequest request = new(this);
            lock (_lock)
            {
                if (_journal is null || IsClosed)
                {
                    return;
                }

                NbdCommand command = entry.DataLength > 0 ? NbdCommand.Write : NbdCommand.WriteZeroes;
                request.Set(command, entry.Flags, entry.Offset, entry.Length, entry.DataLength > 0 ? _journal.DataOf(entry) : default);
                _slots.Put(_slots.ReplayPlace, request);
                _toSend.Enqueue(request);
            }

            ValueTask done = request.Task;
            Signal.Set();
            await done.ConfigureAwait(false);
        }
    }

    /// <summary>Requests are sent from now on if the connection is still there, and those again that were not answered.</summary>
    /// <param name="limit">Those that have waited longer than this fail.</param>
    public void Begin(TimeSpan limit)
    {
        lock (_lock)
        {
            if (IsClosed)
            {
                return;
            }

            _state = NbdClientState.Ready;
            FailOverdue(limit);
            foreach (NbdRequest? request in _slots.All)
            {
                if (request is not null)
                {
                    _slots.Renew(request);
                    _toSend.Enqueue(request);
                }
            }

            AdmitWaiting();
        }

        Signal.Set();
    }

    /// <summary>The connection is gone, and nothing uses the buffers of requests any more. They stay.</summary>
    /// <param name="reason">Why; what requests fail with that wait for too long.</param>
    public void Suspend(string reason)
    {
        lock (_lock)
        {
            _reason = _state == NbdClientState.Failing ? _reason : reason;
            _toSend.Clear();
            _idle?.TrySetResult();
            if (_slots.All[_slots.ReplayPlace] is { } replay)
            {
                _slots.Remove(replay);
                replay.Complete(Gone(replay));
            }

            if (_state == NbdClientState.Failing)
            {
                return;
            }

            _state = NbdClientState.Down;
            long now = _time.GetTimestamp();
            foreach (NbdRequest? request in _slots.All)
            {
                if (request is not null)
                {
                    request.LostAt ??= now;
                }
            }

            foreach (NbdRequest request in _waiting)
            {
                request.LostAt ??= now;
            }
        }
    }

    /// <summary>Fails all requests that there are, and those that are made until <see cref="Begin"/>. No connection may be in use.</summary>
    public void Fail(string reason)
    {
        lock (_lock)
        {
            (_state, _reason) = (NbdClientState.Failing, reason);
            FailOverdue(TimeSpan.MinValue);
        }
    }

    /// <summary>Ends the sender, once it has sent what there is.</summary>
    public void Close()
    {
        lock (_lock)
        {
            IsClosed = true;
        }

        Signal.Set();
    }

    /// <summary>Waits until no request is under way, or there is no connection for any.</summary>
    public Task WaitUntilIdleAsync()
    {
        lock (_lock)
        {
            if (_state != NbdClientState.Ready || (_slots.IsIdle && _waiting.Count == 0))
            {
                return Task.CompletedTask;
            }

            _idle ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return _idle.Task;
        }
    }

    private static int DataLengthOf(NbdRequest request) => request.Command == NbdCommand.Write ? (int)request.Length : 0;

    private bool TryAdmit(NbdRequest request)
    {
        bool isKept = _journal is not null && request.Command is NbdCommand.Write or NbdCommand.WriteZeroes;
        if (!_slots.HasFree || (isKept && !_journal!.TryReserve(DataLengthOf(request))))
        {
            StartOwnFlush();
            return false;
        }

        request.HasReservation = isKept;
        request.Covered = _journal?.Added ?? 0;
        Send(_slots.TakeFree(), request);
        return true;
    }

    private void Send(int place, NbdRequest request)
    {
        _slots.Put(place, request);
        if (_state == NbdClientState.Ready)
        {
            _toSend.Enqueue(request);
        }
    }

    private void AdmitWaiting()
    {
        while (_waiting.TryPeek(out NbdRequest? next) && TryAdmit(next))
        {
            _waiting.Dequeue();
        }

        if (_waiting.Count == 0 && _slots.IsIdle)
        {
            _idle?.TrySetResult();
        }
    }

    /// <summary>Makes room in the journal, if a flush can, before writes have to wait for it.</summary>
    private void StartOwnFlush()
    {
        if (_journal is { IsHalfFull: true, IsEmpty: false } && _slots.All[_slots.FlushPlace] is null)
        {
            _ownFlush ??= new NbdRequest(this);
            _ownFlush.Set(NbdCommand.Flush, NbdCommandFlags.None, 0, 0, default);
            _ownFlush.Covered = _journal.Added;
            Send(_slots.FlushPlace, _ownFlush);
        }
    }

    private void Finish(NbdRequest request)
    {
        BlockIOException? failure = request.Error == NbdErrors.None ? null : NbdFailure.OfServer(_end, request);
        bool isReplay = request == _slots.All[_slots.ReplayPlace];
        _slots.Remove(request);
        if (request.HasReservation)
        {
            Keep(request, failure is null);
        }

        if (request.Command == NbdCommand.Flush)
        {
            failure = OnFlushed(request, failure);
        }
        else if (isReplay && failure is not null)
        {
            // It was acknowledged once, and is not there: what is said of it with the next flush.
            LoseWrites(failure);
            failure = null;
        }

        if (request != _ownFlush)
        {
            request.Complete(failure);
        }

        if (_state == NbdClientState.Ready)
        {
            StartOwnFlush();
            AdmitWaiting();
        }
    }

    private void Keep(NbdRequest request, bool isDone)
    {
        if (isDone)
        {
            BlockBuffers data = request.Command == NbdCommand.Write ? request.Buffers : default;
            _journal?.Add(request.Offset, request.Length, data, request.Flags);
        }
        else
        {
            _journal?.Release(DataLengthOf(request));
        }
    }

    private BlockIOException? OnFlushed(NbdRequest flush, BlockIOException? failure)
    {
        if (failure is not null)
        {
            LoseWrites(failure);
        }
        else if (_flushFailure is null)
        {
            _journal?.Drop(flush.Covered);
        }

        return _flushFailure;
    }

    /// <summary>
    /// A server that could not flush may take what was written for flushed afterwards (see <see cref="IFlushable"/>): every flush fails from now on,
    /// and nothing is kept for a later one.
    /// </summary>
    private void LoseWrites(BlockIOException failure)
    {
        _flushFailure ??= NbdFailure.OfFlush(_end, failure);
        _journal = null;
    }

    /// <summary>Fails those that have waited for a connection longer than a limit.</summary>
    private void FailOverdue(TimeSpan limit)
    {
        foreach (NbdRequest? request in _slots.All)
        {
            if (request is not null && IsOverdue(request, limit))
            {
                _slots.Remove(request);
                if (request.HasReservation)
                {
                    Keep(request, isDone: false);
                }

                if (request != _ownFlush)
                {
                    request.Complete(Gone(request));
                }
            }
        }

        for (int i = _waiting.Count; i > 0; i--)
        {
            NbdRequest request = _waiting.Dequeue();
            if (IsOverdue(request, limit))
            {
                request.Complete(Gone(request));
            }
            else
            {
                _waiting.Enqueue(request);
            }
        }

        if (_slots.IsIdle && _waiting.Count == 0)
        {
            _idle?.TrySetResult();
        }
    }

    private bool IsOverdue(NbdRequest request, TimeSpan limit) =>
        limit == TimeSpan.MinValue || (request.LostAt is { } lost && _time.GetElapsedTime(lost) > limit);

    private BlockIOException Gone(NbdRequest request) => NbdFailure.OfConnection(_end, request, _reason);
}

/// <summary>What is done with requests.</summary>
internal enum NbdClientState
{
    /// <summary>They wait for a connection.</summary>
    Down,

    /// <summary>They are sent.</summary>
    Ready,

    /// <summary>They fail.</summary>
    Failing,
}
