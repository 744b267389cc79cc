using System.Runtime.CompilerServices;
using Uml.Core.Cpu.State;
using Uml.Core.Memory;

namespace Uml.Core.Cpu.Paging;

/// <summary>The slow paths of memory accesses: page walks, page crossings, devices, code pages, watchpoints.</summary>
// SAFETY: s is a live processor's state. A host address is used only where the tag of its TLB entry equals the page of the operand's last
// byte, or PageWalk.Host has found the page in RAM, and a part of an operand never leaves its page (FirstPart). Buffers are the caller's,
// with room for size bytes.
internal static unsafe partial class Mmu
{
    public static bool ReadSlow(CpuState* s, ulong linear, byte* buffer, int size, SegmentIndex segment)
    {
        if (!Locate(s, linear, size, AccessKind.Read, segment, out ulong first, out ulong second, out int firstSize))
        {
            return false;
        }

        ReadParts(s, first, second, firstSize, buffer, size);
        return true;
    }

    public static bool WriteSlow(CpuState* s, ulong linear, byte* buffer, int size, SegmentIndex segment)
    {
        if (!Locate(s, linear, size, AccessKind.Write, segment, out ulong first, out ulong second, out int firstSize))
        {
            return false;
        }

        WritePhysical(s, first, buffer, firstSize);
        if (firstSize < size)
        {
            WritePhysical(s, second, buffer + firstSize, size - firstSize);
        }

        return true;
    }

    /// <summary>Reads an operand that is written next: faults as the write would.</summary>
    public static bool ReadForUpdateSlow(CpuState* s, ulong linear, byte* buffer, int size, SegmentIndex segment)
    {
        if (!Locate(s, linear, size, AccessKind.Write, segment, out ulong first, out ulong second, out int firstSize))
        {
            return false;
        }

        ReadParts(s, first, second, firstSize, buffer, size);
        return true;
    }

    /// <summary>Writes what <see cref="ReadForUpdateSlow"/> read, which has checked the write already: this cannot fault.</summary>
    public static void FinishUpdateSlow(CpuState* s, ulong linear, byte* buffer, int size) =>
        WriteSlow(s, linear, buffer, size, SegmentIndex.Ds);

    /// <summary>Checks that an operand may be written without writing it; makes a later store at the same place succeed.</summary>
    public static bool ProbeWrite(CpuState* s, ulong linear, int size, SegmentIndex segment) =>
        Locate(s, linear, size, AccessKind.Write, segment, out _, out _, out _);

    /// <summary>Reads at supervisor privilege whatever the CPL: descriptor tables, TSS, interrupt stacks (an implicit supervisor access).</summary>
    public static bool ReadSystem<T>(CpuState* s, ulong linear, out T value) where T : unmanaged
    {
        TlbEntry* entry = Tlb.Entry(MemoryUnit.Of(s).Spaces.Current(TlbView.Supervisor), linear);
        if (entry->ReadTag == Page.Base(linear + (ulong)sizeof(T) - 1))
        {
            value = Unsafe.ReadUnaligned<T>((void*)(entry->HostPage + Page.Offset(linear)));
            return true;
        }

        T result = default;
        bool ok = LocateSystem(s, linear, sizeof(T), AccessKind.Read, out ulong first, out ulong second, out int firstSize);
        if (ok)
        {
            ReadParts(s, first, second, firstSize, (byte*)&result, sizeof(T));
        }

        value = result;
        return ok;
    }

    /// <summary>Writes at supervisor privilege whatever the CPL.</summary>
    public static bool WriteSystem<T>(CpuState* s, ulong linear, T value) where T : unmanaged
    {
        TlbEntry* entry = Tlb.Entry(MemoryUnit.Of(s).Spaces.Current(TlbView.Supervisor), linear);
        if (entry->WriteTag == Page.Base(linear + (ulong)sizeof(T) - 1))
        {
            Unsafe.WriteUnaligned((void*)(entry->HostPage + Page.Offset(linear)), value);
            return true;
        }

        if (!LocateSystem(s, linear, sizeof(T), AccessKind.Write, out ulong first, out ulong second, out int firstSize))
        {
            return false;
        }

        byte* buffer = (byte*)&value;
        WritePhysical(s, first, buffer, firstSize);
        if (firstSize < sizeof(T))
        {
            WritePhysical(s, second, buffer + firstSize, sizeof(T) - firstSize);
        }

        return true;
    }

    /// <summary>Translates an instruction fetch; on failure the fault is recorded with RIP left to the caller.</summary>
    public static bool TranslateFetch(CpuState* s, ulong linear, out ulong physical)
    {
        TlbEntry* entry = Tlb.Entry(PagingState.Of(s)->Tlb, linear);
        if (entry->ExecuteTag == Page.Base(linear))
        {
            ulong offset = (ulong)(entry->HostPage + Page.Offset(linear) - s->Engine->RamBase);
            physical = offset < GuestMemoryLayout.DeviceHoleStart ? offset : offset - GuestMemoryLayout.DeviceHoleStart + GuestMemoryLayout.HighRamStart;
            return true;
        }

        return Map(s, linear, AccessKind.Execute, s->Cpl == 3, allowUserPages: false, View(s), out physical);
    }

    private static bool LocateSystem(CpuState* s, ulong linear, int size, AccessKind kind, out ulong first, out ulong second, out int firstSize)
    {
        first = second = 0;
        firstSize = FirstPart(s, linear, size);
        if (!IsCanonical(s, linear) || !IsCanonical(s, linear + (ulong)size - 1))
        {
            return Fault.FailGP(s);
        }

        return Map(s, linear, kind, user: false, allowUserPages: false, TlbView.Supervisor, out first) &&
            (firstSize == size ||
             Map(s, WrapSystem(s, linear + (ulong)firstSize), kind, user: false, allowUserPages: false, TlbView.Supervisor, out second));
    }

    /// <summary>Translates every page of an operand before any of it is accessed.</summary>
    public static bool Locate(
        CpuState* s, ulong linear, int size, AccessKind kind, SegmentIndex segment, out ulong first, out ulong second, out int firstSize)
    {
        first = second = 0;
        firstSize = FirstPart(s, linear, size);
        if (!IsCanonical(s, linear) || !IsCanonical(s, linear + (ulong)size - 1))
        {
            return Fault.Fail(s, segment == SegmentIndex.Ss ? ExceptionVector.SS : ExceptionVector.GP, 0);
        }

        bool user = s->Cpl == 3;
        if (user && (linear & AlignmentMask(size)) != 0 && AlignmentChecked(s) && !MemoryUnit.Of(s).IsAlignmentExempt(s))
        {
            return Fault.Fail(s, ExceptionVector.AC, 0);
        }

        bool allowUserPages = (s->SystemFlags & Flags.AC) != 0;
        TlbView view = View(s);
        if (!Map(s, linear, kind, user, allowUserPages, view, out first) ||
            (firstSize < size && !Map(s, Wrap(s, linear + (ulong)firstSize), kind, user, allowUserPages, view, out second)))
        {
            return false;
        }

        if ((s->Dr7 & 0xFF) != 0)
        {
            DebugState.NoteAccess(s, linear, size, kind == AccessKind.Write);
        }

        return true;
    }

    /// <summary>
    /// The address bits that have to be zero under alignment checking (Intel SDM vol. 3, table 6-7): x87 environments align as their
    /// words do. For 16 and 32 bytes the manual leaves it to the processor (vol. 1, 14.9); Intel's do not check those.
    /// </summary>
    private static ulong AlignmentMask(int size) => size switch
    {
        2 or 4 or 8 => (ulong)size - 1,
        10 => 7,
        14 or 94 => 1,
        28 or 108 => 3,
        _ => 0,
    };

    /// <summary>How much of an operand lies in the page it begins in.</summary>
    private static int FirstPart(CpuState* s, ulong linear, int size)
    {
        int left = GuestRam.PageSize - (int)Page.Offset(linear);
        if (size <= left)
        {
            return size;
        }

        s->Engine->Counters.PageCrossings++;
        return left;
    }

    private static ulong WrapSystem(CpuState* s, ulong linear) => (s->Mode & CpuMode.LongActive) != 0 ? linear : (uint)linear;

    /// <summary>Where a linear address wraps around: at 4 GiB outside 64-bit mode.</summary>
    public static ulong Wrap(CpuState* s, ulong linear) => (s->Mode & CpuMode.Long64) != 0 ? linear : (uint)linear;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsCanonical(CpuState* s, ulong linear) =>
        (ulong)((long)(linear << 16) >> 16) == linear || (s->Mode & CpuMode.Long64) == 0;

    /// <summary>Translates one page for one access and fills the TLB.</summary>
    private static bool Map(CpuState* s, ulong linear, AccessKind kind, bool user, bool allowUserPages, TlbView view, out ulong physical)
    {
        s->Engine->Counters.TlbMisses++;
        if (!PageWalk.Translate(s, linear, kind, user, allowUserPages, out Translation t, out uint error))
        {
            physical = 0;
            s->Cr2 = linear;
            return Fault.Fail(s, ExceptionVector.PF, error);
        }

        physical = t.Physical;
        byte* host = PageWalk.Host(s, physical);
        if (host != null)
        {
            Fill(s, linear, in t, host - Page.Offset(linear), view);
        }

        return true;
    }

    private static void Fill(CpuState* s, ulong linear, in Translation t, byte* hostPage, TlbView view)
    {
        AddressSpaces spaces = MemoryUnit.Of(s).Spaces;
        TlbEntry* entry = Tlb.Enter(spaces.CurrentForFill(view), linear);
        ulong page = Page.Base(linear);
        bool user = view == TlbView.User;
        bool dataAllowed = user ? t.User : !t.User || view == TlbView.SupervisorAc || (s->Cr4 & Cr4.SMAP) == 0;
        bool writable = t.Writable || (!user && (s->Cr0 & Cr0.WP) == 0);
        bool executable = !t.NoExecute && (user ? t.User : !t.User || (s->Cr4 & Cr4.SMEP) == 0);

        bool write = dataAllowed && writable && t.Dirty && Info(s, hostPage)->TryMapForWriting();
        entry->ReadTag = dataAllowed ? page : TlbEntry.Invalid(linear);
        entry->WriteTag = write ? page : TlbEntry.Invalid(linear);
        entry->ExecuteTag = executable ? page : TlbEntry.Invalid(linear);
        entry->HostPage = hostPage;
        if (t.PageShift > Page.Shift)
        {
            spaces.NoteLargePage(linear, t.PageShift);
        }
    }

    /// <summary>Notifies the observers of a watched page that bytes of it are about to be written.</summary>
    public static void NoteWrite(CpuState* s, byte* host, int size)
    {
        if (Info(s, host)->Watched != 0)
        {
            MemoryUnit.Of(s).Ram.Writes.Note((ulong)(host - s->Engine->RamBase), size);
        }
    }

    public static PageInfo* Info(CpuState* s, byte* host) => s->Engine->Pages + Page.Number((ulong)(host - s->Engine->RamBase));

    public static void ReadParts(CpuState* s, ulong first, ulong second, int firstSize, byte* buffer, int size)
    {
        ReadPhysical(s, first, buffer, firstSize);
        if (firstSize < size)
        {
            ReadPhysical(s, second, buffer + firstSize, size - firstSize);
        }
    }

    private static void ReadPhysical(CpuState* s, ulong physical, byte* buffer, int size)
    {
        byte* host = PageWalk.Host(s, physical);
        if (host != null)
        {
            // SAFETY: the range lies within one guest page, which is RAM.
            Unsafe.CopyBlockUnaligned(buffer, host, (uint)size);
            return;
        }

        MemoryUnit unit = MemoryUnit.Of(s);
        while (size > 0)
        {
            s->Engine->Counters.DeviceAccesses++;
            int part = DevicePart(size);
            ulong value = unit.Bus.ReadMemory(unit.Processor, physical, part);
            Unsafe.CopyBlockUnaligned(buffer, &value, (uint)part);
            physical += (ulong)part;
            buffer += part;
            size -= part;
        }
    }

    private static void WritePhysical(CpuState* s, ulong physical, byte* buffer, int size)
    {
        byte* host = PageWalk.Host(s, physical);
        if (host != null)
        {
            s->Engine->Counters.CodePageWrites += Info(s, host)->CodeMask != 0 ? 1UL : 0;
            NoteWrite(s, host, size);

            // SAFETY: the range lies within one guest page, which is RAM.
            Unsafe.CopyBlockUnaligned(host, buffer, (uint)size);
            return;
        }

        MemoryUnit unit = MemoryUnit.Of(s);
        while (size > 0)
        {
            s->Engine->Counters.DeviceAccesses++;
            int part = DevicePart(size);
            ulong value = 0;
            Unsafe.CopyBlockUnaligned(&value, buffer, (uint)part);
            unit.Bus.WriteMemory(unit.Processor, physical, part, value);
            physical += (ulong)part;
            buffer += part;
            size -= part;
        }
    }

    /// <summary>Device registers are accessed in powers of two, at most 8 bytes.</summary>
    private static int DevicePart(int size) => size >= 8 ? 8 : size >= 4 ? 4 : size >= 2 ? 2 : 1;
}
