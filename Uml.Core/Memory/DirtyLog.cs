namespace Uml.Core.Memory;

/// <summary>
/// Which pages of guest RAM were written to since it was last asked, by processors, devices and the machine's owner: for snapshots that
/// hold what has changed, and for migration. A page that was not written to may be in it, never the reverse.
/// </summary>
/// <remarks>
/// Made, collected and disposed on the machine's thread between two instructions, or while the machine does not run. What is still written
/// through a lease is in it once that is disposed. A page's first write after a collection takes the slow path; those behind it cost nothing.
/// </remarks>
// SAFETY: Base is compared with null only, to see whether RAM was disposed.
internal sealed unsafe class DirtyLog : IWriteObserver, IDisposable
{
    private readonly GuestRam _ram;
    private PageSet _dirty;

    /// <summary>Starts a log, in which nothing is written to yet.</summary>
    public DirtyLog(GuestRam ram)
    {
        ram.ThrowIfDisposed();
        _ram = ram;
        _dirty = new PageSet(ram.PageCount);
        ram.Writes.TakeCompleted();
        ram.Writes.Subscribe(WatchReasons.DirtyLog, this);
        ram.Writes.WatchAll(WatchReasons.DirtyLog);
    }

    /// <summary>What was written to since the log was started or last collected, which is forgotten.</summary>
    public PageSet Collect()
    {
        _ram.ThrowIfDisposed();
        _ram.Writes.TakeCompleted();
        PageSet collected = _dirty;
        _dirty = new PageSet(_ram.PageCount);
        _ram.Writes.Watch(collected, WatchReasons.DirtyLog);
        return collected;
    }

    public void OnWrite(ulong ramOffset, int length) => _dirty.Add(ramOffset / GuestRam.PageSize);

    public void Dispose()
    {
        _ram.Writes.Unsubscribe(this);
        if (_ram.Base != null && !_ram.Writes.IsSubscribed(WatchReasons.DirtyLog))
        {
            _ram.Writes.UnwatchAll(WatchReasons.DirtyLog);
        }
    }
}
