using Uml.Core.Cpu;
using Uml.Core.Memory;

namespace Uml.Core.Tests.Memory;

/// <summary>A guest for tests of those who watch its writes; its page tables are such that the emitted page walk writes to them.</summary>
public abstract class WatchedWrites : IDisposable
{
    private protected WatchedWrites(CpuEngine engine)
    {
        Assume.That(engine != CpuEngine.Jit || JitEngine.IsSupported);
        Guest = new BareGuest(engine).Start64().MarkTables();
    }

    private protected BareGuest Guest { get; }

    private protected GuestRam Ram => Guest.Ram;

    public virtual void Dispose()
    {
        Guest.Dispose();
        GC.SuppressFinalize(this);
    }
}
