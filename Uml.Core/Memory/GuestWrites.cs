namespace Uml.Core.Memory;

/// <summary>
/// The one place that knows who has to be told of writes to guest RAM. Each page has a set of reasons (<see cref="PageInfo.Watched"/>). While
/// it is empty processors may enter the page in their TLBs as one to write to, and do so unseen; else they ask here.
/// </summary>
/// <remarks>
/// All but <see cref="Begin"/> and <see cref="Complete"/> is for the machine's thread, or for others while the machine does not run. Pages
/// are watched for other reasons than code only between two instructions (a posted action), or while the machine does not run: the rest of
/// an instruction, or of a translated block, may use an address that it looked up before.
/// </remarks>
// SAFETY: pages are indexed below PageCount: by offsets into RAM that GuestRam or a TLB entry has bounded, or by PageSet, which has as many
// bits. Page information lives as long as RAM; behind its end only Complete is called, which touches none.
internal sealed unsafe class GuestWrites(GuestRam ram)
{
    /// <summary>Reasons that are told of the first write only.</summary>
    private const WatchReasons OneShot = WatchReasons.DirtyLog | WatchReasons.CopyOnWrite;

    /// <summary>Reasons that have to be told before memory changes; the others may be told until the guest looks.</summary>
    private const WatchReasons NeedsOldContents = WatchReasons.CopyOnWrite, All = (WatchReasons)uint.MaxValue;

    private readonly Lock _sync = new();

    /// <summary>Leases whose owners may write at any time.</summary>
    private readonly HashSet<GuestMemoryLease> _writing = [];

    /// <summary>Ranges that were written through leases, and nobody was told of yet.</summary>
    private List<(ulong Offset, int Length)> _completed = [];

    /// <summary>Those that are told of just now; empty otherwise.</summary>
    private List<(ulong Offset, int Length)> _taken = [];
    private volatile bool _hasCompleted;

    private IWriteMapper[] _mappers = [];
    private (WatchReasons Reason, IWriteObserver Observer)[] _observers = [];

    /// <summary>Adds a processor.</summary>
    public void Attach(IWriteMapper mapper)
    {
        lock (_sync)
        {
            _mappers = [.. _mappers, mapper];
        }
    }

    /// <summary>Removes a processor: it is not called any more, from no thread.</summary>
    public void Detach(IWriteMapper mapper)
    {
        lock (_sync)
        {
            _mappers = [.. _mappers.Where(other => other != mapper)];
        }
    }

    /// <summary>Adds somebody to be told of writes to pages that are watched for a reason.</summary>
    public void Subscribe(WatchReasons reason, IWriteObserver observer) => _observers = [.. _observers, (reason, observer)];

    /// <summary>Removes an observer. Pages stay watched.</summary>
    public void Unsubscribe(IWriteObserver observer) => _observers = [.. _observers.Where(other => other.Observer != observer)];

    /// <summary>Whether anybody is to be told of writes for a reason.</summary>
    public bool IsSubscribed(WatchReasons reason) => _observers.Any(other => other.Reason == reason);

    /// <summary>Makes writes to a page that has code seen.</summary>
    public void WatchCode(ulong page)
    {
        PageInfo* info = ram.Pages + page;
        if (info->MayBeWriteMapped)
        {
            foreach (IWriteMapper mapper in _mappers)
            {
                mapper.ForbidWrites(ram.Base + (page * GuestRam.PageSize));
            }
        }

        Add(page, WatchReasons.Code);
    }

    /// <summary>Takes back <see cref="WatchCode"/>.</summary>
    public static void UnwatchCode(PageInfo* info) => info->Watched &= ~WatchReasons.Code;

    /// <summary>Makes writes to all pages seen.</summary>
    public void WatchAll(WatchReasons reason)
    {
        ram.ThrowIfDisposed();
        ForbidAllWrites();
        for (ulong page = 0; page < ram.PageCount; page++)
        {
            Add(page, reason);
        }

        TellOfWriters(reason);
    }

    /// <summary>Makes writes to many pages seen.</summary>
    public void Watch(PageSet pages, WatchReasons reason)
    {
        ForbidAllWrites();
        foreach (ulong page in pages)
        {
            Add(page, reason);
        }

        TellOfWriters(reason);
    }

    /// <summary>Takes back <see cref="WatchAll"/> and <see cref="Watch"/>.</summary>
    public void UnwatchAll(WatchReasons reason)
    {
        for (ulong page = 0; page < ram.PageCount; page++)
        {
            PageInfo* info = ram.Pages + page;
            if ((info->Watched & reason) != 0)
            {
                info->Watched &= ~reason;
            }
        }
    }

    /// <summary>Tells whoever has to know of a write, which is about to happen.</summary>
    /// <param name="offset">First byte, as an offset into RAM.</param>
    /// <param name="length">Bytes.</param>
    public void Note(ulong offset, int length) => Tell(offset, length, All);

    /// <summary>A lease to write through begins.</summary>
    public void Begin(GuestMemoryLease lease)
    {
        Tell(lease.Offset, lease.Length, NeedsOldContents);
        lock (_sync)
        {
            _writing.Add(lease);
        }
    }

    /// <summary>A lease to write through ends, and with it all writes through it. From any thread.</summary>
    public void Complete(GuestMemoryLease lease)
    {
        lock (_sync)
        {
            _writing.Remove(lease);
            _completed.Add((lease.Offset, lease.Length));
            _hasCompleted = true;

            // Either a processor that begins to run finds them, or it is seen to run.
            Interlocked.MemoryBarrier();
            foreach (IWriteMapper mapper in _mappers)
            {
                mapper.OnWritesCompleted();
            }
        }
    }

    /// <summary>Tells whoever has to know of the writes that other threads have completed.</summary>
    public void TakeCompleted()
    {
        if (!_hasCompleted)
        {
            return;
        }

        lock (_sync)
        {
            (_taken, _completed) = (_completed, _taken);
            _hasCompleted = false;
        }

        foreach ((ulong offset, int length) in _taken)
        {
            Tell(offset, length, All & ~NeedsOldContents);
        }

        _taken.Clear();
    }

    private void ForbidAllWrites()
    {
        foreach (IWriteMapper mapper in _mappers)
        {
            mapper.ForbidAllWrites();
        }
    }

    private void Add(ulong page, WatchReasons reason)
    {
        PageInfo* info = ram.Pages + page;
        info->MayBeWriteMapped = false;
        info->Watched |= reason;
    }

    /// <summary>Whoever writes through a lease does not ask again: what it may write to counts as written to from the start.</summary>
    private void TellOfWriters(WatchReasons reason)
    {
        if ((reason & NeedsOldContents) == 0)
        {
            return;
        }

        GuestMemoryLease[] writing;
        lock (_sync)
        {
            writing = [.. _writing];
        }

        foreach (GuestMemoryLease lease in writing)
        {
            Tell(lease.Offset, lease.Length, reason & NeedsOldContents);
        }
    }

    private void Tell(ulong offset, int length, WatchReasons reasons)
    {
        while (length > 0)
        {
            int part = (int)Math.Min((ulong)length, GuestRam.PageSize - (offset % GuestRam.PageSize));
            PageInfo* info = ram.Pages + (offset / GuestRam.PageSize);
            WatchReasons told = info->Watched & reasons;
            if (told != 0)
            {
                info->Watched &= ~(told & OneShot);
                Tell(told, offset, part);
            }

            offset += (ulong)part;
            length -= part;
        }
    }

    private void Tell(WatchReasons reasons, ulong offset, int length)
    {
        foreach ((WatchReasons reason, IWriteObserver observer) in _observers)
        {
            if ((reason & reasons) != 0)
            {
                observer.OnWrite(offset, length);
            }
        }
    }
}
