using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Paging;

/// <summary>Told what becomes of cached translations, by whoever keeps something that rests on them.</summary>
// SAFETY: s is a live processor's state, for the call.
internal unsafe interface IAddressSpaceListener
{
    /// <summary>Another address space is in force, or the one in force was emptied.</summary>
    void Switched();

    /// <summary>The translation of a page was dropped from a space.</summary>
    void PageInvalidated(int space, ulong linear);

    /// <summary>The translations of a space were dropped.</summary>
    /// <param name="space">Its number, below <see cref="AddressSpaces.Count"/>.</param>
    /// <param name="globalStay">Global ones hold still, in other spaces.</param>
    void SpaceInvalidated(int space, bool globalStay);

    /// <summary>The mode, or the view that memory is looked at with, may be another.</summary>
    void ViewChanged(CpuState* s, int space, TlbView view);
}
