using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Paging;

/// <summary>Notified when cached translations are dropped, to drop what depends on them.</summary>
// SAFETY: s is a live processor's state, for the call.
internal unsafe interface IAddressSpaceListener
{
    /// <summary>Another address space became current, or the current one was flushed.</summary>
    void Switched();

    /// <summary>The translation of a page was dropped from a space.</summary>
    void PageInvalidated(int space, ulong linear);

    /// <summary>The translations of a space were dropped.</summary>
    /// <param name="space">Its number, below <see cref="AddressSpaces.Count"/>.</param>
    /// <param name="globalStay">Global translations of other spaces stay valid.</param>
    void SpaceInvalidated(int space, bool globalStay);

    /// <summary>The mode or the view may have changed.</summary>
    void ViewChanged(CpuState* s, int space, TlbView view);
}
