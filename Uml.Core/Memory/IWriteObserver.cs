namespace Uml.Core.Memory;

/// <summary>Notified of writes to pages that are watched for its reason, by processors, devices and the machine's owner.</summary>
internal interface IWriteObserver
{
    /// <summary>
    /// Bytes are about to be written; or, unless the reason is <see cref="WatchReasons.CopyOnWrite"/>, were written through a lease on
    /// another thread, and the guest has not continued since. Called on the machine's thread, or while the machine does not run.
    /// </summary>
    /// <param name="ramOffset">First byte, as an offset into RAM.</param>
    /// <param name="length">Bytes, at least 1, within one page.</param>
    void OnWrite(ulong ramOffset, int length);
}

/// <summary>A processor, which caches which pages it may write without the slow path.</summary>
// SAFETY: the host page is one of the RAM that calls; implementations compare it and do not follow it.
internal unsafe interface IWriteMapper
{
    /// <summary>Drops the write permission of a page from the cache.</summary>
    /// <param name="hostPage">Host address of the page.</param>
    void ForbidWrites(byte* hostPage);

    /// <summary>Drops all write permissions from the cache. Not called while the processor is in an instruction.</summary>
    void ForbidAllWrites();

    /// <summary>
    /// Writes by other threads are complete: the processor calls <see cref="GuestWrites.TakeCompleted"/> soon, and before it runs another
    /// instruction after any work of the machine's thread. Called from any thread.
    /// </summary>
    void OnWritesCompleted();
}
