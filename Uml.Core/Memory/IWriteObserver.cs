namespace Uml.Core.Memory;

/// <summary>Told of writes to pages that are watched for its reason, whoever writes.</summary>
internal interface IWriteObserver
{
    /// <summary>
    /// Bytes are about to be written; or, unless the reason is <see cref="WatchReasons.CopyOnWrite"/>, were written by a device on another
    /// thread and the guest is about to be told. Called on the machine's thread, or while the machine does not run.
    /// </summary>
    /// <param name="ramOffset">First byte, as an offset into RAM.</param>
    /// <param name="length">Bytes, at least 1, within one page.</param>
    void OnWrite(ulong ramOffset, int length);
}

/// <summary>A processor, as guest RAM knows it: it remembers which pages it may write to without asking.</summary>
// SAFETY: the host page is one of the RAM that calls; implementations compare it and do not follow it.
internal unsafe interface IWriteMapper
{
    /// <summary>Forgets that a page may be written to.</summary>
    /// <param name="hostPage">Where it is in the host's memory.</param>
    void ForbidWrites(byte* hostPage);

    /// <summary>Forgets that any page may be written to. Not while the processor is in an instruction.</summary>
    void ForbidAllWrites();

    /// <summary>
    /// Writes from other threads are complete: the processor calls <see cref="GuestWrites.TakeCompleted"/> soon, and always before it goes
    /// on behind what it is told by the machine's thread. Called from any thread.
    /// </summary>
    void OnWritesCompleted();
}
