using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;
using Uml.Core.Memory;

namespace Uml.Core.Cpu.Access;

/// <summary>Elements that masked moves and gathers access, which are not subject to alignment checks (Intel SDM vol. 2, VMASKMOV).</summary>
// SAFETY: s is a live processor's state. Elements are accessed through Operand; pointers are to bytes of a local, below the size of T.
internal static unsafe class VectorElements
{
    public static bool Load<T>(CpuState* s, ulong linear, SegmentIndex segment, out T value)
        where T : unmanaged
    {
        if ((linear & ((ulong)sizeof(T) - 1)) == 0)
        {
            return Operand.LoadAt(s, Mmu.Wrap(s, linear), segment, out value);
        }

        T result = default;
        for (int i = 0; i < sizeof(T); i++)
        {
            if (!Operand.LoadAt(s, Mmu.Wrap(s, linear + (ulong)i), segment, out ((byte*)&result)[i]))
            {
                value = default;
                return false;
            }
        }

        value = result;
        return true;
    }

    /// <summary>Checks that the bytes may be written; a fault in a second page is at its start.</summary>
    public static bool ProbeStore(CpuState* s, ulong linear, int size, SegmentIndex segment)
    {
        ulong last = linear + (ulong)size - 1;
        ulong page = Page.Base(last);
        return Mmu.ProbeWrite(s, Mmu.Wrap(s, linear), 1, segment) && (page <= linear || Mmu.ProbeWrite(s, Mmu.Wrap(s, page), 1, segment));
    }

    /// <summary>Stores bytes that were probed.</summary>
    public static void Store<T>(CpuState* s, ulong linear, SegmentIndex segment, T value)
        where T : unmanaged
    {
        if ((linear & ((ulong)sizeof(T) - 1)) == 0)
        {
            _ = Operand.StoreAt(s, Mmu.Wrap(s, linear), segment, value);
            return;
        }

        for (int i = 0; i < sizeof(T); i++)
        {
            _ = Operand.StoreAt(s, Mmu.Wrap(s, linear + (ulong)i), segment, ((byte*)&value)[i]);
        }
    }
}
