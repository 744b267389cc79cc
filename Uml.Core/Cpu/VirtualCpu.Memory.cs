using Uml.Core.Memory;

namespace Uml.Core.Cpu;

/// <summary>The processor as an observer of writes to guest RAM.</summary>
// SAFETY: host pages are compared, not followed. OnWritesCompleted comes from any thread, but not behind GuestWrites.Detach, which Dispose
// calls before it frees the state.
internal sealed unsafe partial class VirtualCpu : IWriteMapper, IWriteObserver
{
    public void ForbidWrites(byte* hostPage) => AddressSpaces.ForbidWrites(hostPage);

    public void ForbidAllWrites()
    {
        if (_system.IsRunning)
        {
            throw new InvalidOperationException("Pages are watched between two instructions only: post an action to the machine's thread.");
        }

        AddressSpaces.ForbidAllWrites();
    }

    /// <summary>Drops blocks that were decoded from the bytes.</summary>
    public void OnWrite(ulong ramOffset, int length) => Blocks.Invalidate(ramOffset, length);

    public void OnWritesCompleted()
    {
        // Otherwise the next run begins with them.
        if (_system.IsRunning)
        {
            RequestAttention();
        }
    }
}
