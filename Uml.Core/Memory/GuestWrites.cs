namespace Uml.Core.Memory;

/// <summary>
/// Watches writes to guest RAM and notifies observers. Each page has a set of reasons to be watched (<see cref="PageInfo.Watched"/>). While
/// it is empty, processors may have write tags for the page in their TLBs, and their writes are not observed; otherwise each write takes
/// the slow path, which calls <see cref="Note"/>.
/// </summary>
/// <remarks>
/// Members other than <see cref="Begin"/>, <see cref="Extend"/> and <see cref="Complete"/> are called on the machine's thread, or on others
/// while the machine does not run. Watching pages for other reasons than code begins only between two instructions (in a posted action), or
/// while the machine does not run: the rest of an instruction, or of a translated block, may use a host address that it looked up before.
/// </remarks>
// SAFETY: pages are indexed below PageCount: by offsets into RAM that GuestRam or a TLB entry has bounded, or by PageSet, which has as many
// bits. Page information lives as long as RAM; behind its end only Complete is called, which touches none.
internal sealed unsafe class GuestWrites(GuestRam ram)
{
    /// <summary>Reasons that end with the first write to a page.</summary>
    private const WatchReasons OneShot = WatchReasons.DirtyLog | WatchReasons.CopyOnWrite;

    /// <summary>
    /// Reasons whose observers are notified before memory changes; others may be notified later, but before the guest continues.
    /// </summary>
    private const WatchReasons NeedsOldContents = WatchReasons.CopyOnWrite, All = (WatchReasons)uint.MaxValue;

    private readonly Lock _sync = new();

    /// <summary>Open leases and transfers, whose owners may write at any time.</summary>
    private readonly HashSet<IGuestMemoryWriter> _writing = [];

    /// <summary>Ranges written through leases, of which observers were not notified yet.</summary>
    private List<(ulong Offset, int Length)> _completed = [];

    /// <summary>The ranges of which observers are being notified; empty otherwise.</summary>
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

    /// <summary>Removes a processor, which is not called any more afterwards, from any thread.</summary>
    public void Detach(IWriteMapper mapper)
    {
        lock (_sync)
        {
            _mappers = [.. _mappers.Where(other => other != mapper)];
        }
    }

    /// <summary>Adds an observer of writes to pages that are watched for a reason.</summary>
    public void Subscribe(WatchReasons reason, IWriteObserver observer) => _observers = [.. _observers, (reason, observer)];

    /// <summary>Removes an observer. Pages stay watched.</summary>
    public void Unsubscribe(IWriteObserver observer) => _observers = [.. _observers.Where(other => other.Observer != observer)];

    /// <summary>Whether there is an observer for a reason.</summary>
    public bool IsSubscribed(WatchReasons reason) => _observers.Any(other => other.Reason == reason);

    /// <summary>Watches a page because it has code.</summary>
    public void WatchCode(ulong page)
    {
        PageInfo* info = ram.Pages + page;
        if (info->MayBeWriteMapped)
        {
            foreach (IWriteMapper mapper in _mappers)
            {
                mapper.ForbidWrites(ram.Base + Page.Address(page));
            }
        }

        Add(page, WatchReasons.Code);
    }

    /// <summary>Ends <see cref="WatchCode"/>.</summary>
    public static void UnwatchCode(PageInfo* info) => info->Watched &= ~WatchReasons.Code;

    /// <summary>Watches all pages.</summary>
    public void WatchAll(WatchReasons reason)
    {
        ram.ThrowIfDisposed();
        ForbidAllWrites();
        for (ulong page = 0; page < ram.PageCount; page++)
        {
            Add(page, reason);
        }

        NotifyOfWriters(reason);
    }

    /// <summary>Watches a set of pages.</summary>
    public void Watch(PageSet pages, WatchReasons reason)
    {
        ForbidAllWrites();
        foreach (ulong page in pages)
        {
            Add(page, reason);
        }

        NotifyOfWriters(reason);
    }

    /// <summary>Ends <see cref="WatchAll"/> and <see cref="Watch"/>.</summary>
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

    /// <summary>Notifies the observers of a range that is about to be written.</summary>
    /// <param name="offset">First byte, as an offset into RAM.</param>
    /// <param name="length">Bytes.</param>
    public void Note(ulong offset, int length) => Notify(offset, length, All);

    /// <summary>A lease or transfer for writing begins; its ranges follow, each by <see cref="Extend"/>.</summary>
    public void Begin(IGuestMemoryWriter writer)
    {
        lock (_sync)
        {
            _writing.Add(writer);
        }
    }

    /// <summary>Adds a range that a writer may write to.</summary>
    public void Extend(IGuestMemoryWriter writer, ulong offset, int length)
    {
        Notify(offset, length, NeedsOldContents);
        lock (_sync)
        {
            writer.AddRange(offset, length);
        }
    }

    /// <summary>A lease or transfer for writing ends, and with it all writes through it. Called from any thread.</summary>
    public void Complete(IGuestMemoryWriter writer)
    {
        lock (_sync)
        {
            _writing.Remove(writer);
            if (_observers.Length == 0)
            {
                return;
            }

            for (int i = 0; i < writer.Ranges.Count; i++)
            {
                _completed.Add(writer.Ranges[i]);
            }

            _hasCompleted = true;

            // Orders the list before the check whether a processor runs: one that begins to run at the same time finds the list itself.
            Interlocked.MemoryBarrier();
            foreach (IWriteMapper mapper in _mappers)
            {
                mapper.OnWritesCompleted();
            }
        }
    }

    /// <summary>Notifies the observers of writes that other threads have completed.</summary>
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
            Notify(offset, length, All & ~NeedsOldContents);
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

    /// <summary>Writes through a lease are not observed one by one: the ranges of open leases count as written from the start.</summary>
    private void NotifyOfWriters(WatchReasons reason)
    {
        if ((reason & NeedsOldContents) == 0)
        {
            return;
        }

        (ulong Offset, int Length)[] writing;
        lock (_sync)
        {
            writing = [.. _writing.SelectMany(writer => writer.Ranges)];
        }

        foreach ((ulong offset, int length) in writing)
        {
            Notify(offset, length, reason & NeedsOldContents);
        }
    }

    private void Notify(ulong offset, int length, WatchReasons reasons)
    {
        while (length > 0)
        {
            int part = (int)Math.Min((ulong)length, GuestRam.PageSize - Page.Offset(offset));
            PageInfo* info = ram.Pages + Page.Number(offset);
            WatchReasons notified = info->Watched & reasons;
            if (notified != 0)
            {
                info->Watched &= ~(notified & OneShot);
                Notify(notified, offset, part);
            }

            offset += (ulong)part;
            length -= part;
        }
    }

    private void Notify(WatchReasons reasons, ulong offset, int length)
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

/// <summary>A lease or transfer whose owner writes to guest RAM without a call for each write.</summary>
internal interface IGuestMemoryWriter
{
    /// <summary>Where it may write. Read and changed under the lock of <see cref="GuestWrites"/>.</summary>
    IReadOnlyList<(ulong Offset, int Length)> Ranges { get; }

    /// <summary>Adds a range.</summary>
    void AddRange(ulong offset, int length);
}
