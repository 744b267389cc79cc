namespace Uml.Core.Memory;

/// <summary>
/// The pages of guest RAM that processors, devices or the machine's owner have written since the log was last collected: for incremental
/// snapshots and migration. It may contain pages that were not written, but misses none that was.
/// </summary>
/// <remarks>
/// Made, collected and disposed on the machine's thread between two instructions, or while the machine does not run. Writes through a lease
/// are logged when the lease is disposed. A page's first write after a collection takes the slow path; later ones cost nothing.
/// </remarks>
// SAFETY: Base is compared with null only, to see whether RAM was disposed.
internal sealed unsafe class DirtyLog : IWriteObserver, IDisposable
{
    private readonly GuestRam _ram;
    private PageSet _dirty;

    /// <summary>Starts an empty log.</summary>
    public DirtyLog(GuestRam ram)
    {
        ram.ThrowIfDisposed();
        _ram = ram;
        _dirty = new PageSet(ram.PageCount);
        ram.Writes.TakeCompleted();
        ram.Writes.Subscribe(WatchReasons.DirtyLog, this);
        ram.Writes.WatchAll(WatchReasons.DirtyLog);
    }

    /// <summary>Returns the pages written since the start or the last collection, and clears the log.</summary>
    public PageSet Collect()
    {
        _ram.ThrowIfDisposed();
        _ram.Writes.TakeCompleted();
        PageSet collected = _dirty;
        _dirty = new PageSet(_ram.PageCount);
        _ram.Writes.Watch(collected, WatchReasons.DirtyLog);
        return collected;
    }

    public void OnWrite(ulong ramOffset, int length) => _dirty.Add(Page.Number(ramOffset));

    public void Dispose()
    {
        _ram.Writes.Unsubscribe(this);
        if (_ram.Base != null && !_ram.Writes.IsSubscribed(WatchReasons.DirtyLog))
        {
            _ram.Writes.UnwatchAll(WatchReasons.DirtyLog);
        }
    }
}
