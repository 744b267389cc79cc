using System.Runtime.CompilerServices;
using Uml.Core.Cpu.State;
using Uml.Core.Memory;

namespace Uml.Core.Cpu.Paging;

internal enum AccessKind : byte { Read, Write, Execute }

/// <summary>The result of a walk: the physical address and the access rights.</summary>
internal struct Translation
{
    /// <summary>Guest-physical address of the byte asked for.</summary>
    public ulong Physical;
    public bool Writable;
    public bool User;
    public bool NoExecute;
    public bool Global;
    public bool Dirty;

    /// <summary>log2 of the page size: 12, 21, 22 or 30.</summary>
    public byte PageShift;
}

/// <summary>The page-table walk (Intel SDM vol. 3, chapter 4): 4-level, PAE and 32-bit paging.</summary>
// SAFETY: s is a live processor's state. Host bounds every guest-physical address by the ends of RAM, which are page-aligned; entries are
// naturally aligned, so all of one is RAM when its first byte is. The guest may write to its tables meanwhile: each entry is read once, and
// Mark writes atomically.
internal static unsafe class PageWalk
{
    public const ulong P = 1, W = 2, U = 4, A = 1 << 5, D = 1 << 6, PS = 1 << 7, G = 1 << 8, NX = 1UL << 63;

    // Page-fault error code (vol. 3, 4.7).
    public const uint ErrorPresent = 1, ErrorWrite = 2, ErrorUser = 4, ErrorReserved = 8, ErrorFetch = 16;

    public const ulong AddressMask = ((1UL << PhysicalAddresses.Bits) - 1) & Page.BaseMask;
    public const ulong ReservedHigh = ~((1UL << PhysicalAddresses.Bits) - 1) & 0x000F_FFFF_FFFF_FFFFUL;


    /// <summary>Bits 52 to 62 of PAE entries, which IA-32e mode ignores (vol. 3, 4.4.2).</summary>
    private const ulong PaeReserved = 0x7FFUL << 52;

    /// <summary>The host address of a guest-physical address in RAM, or null.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Host(CpuState* s, ulong physical)
    {
        if (physical < s->Engine->RamLowEnd)
        {
            return s->Engine->RamBase + physical;
        }

        return physical >= GuestMemoryLayout.HighRamStart && physical < s->Engine->RamHighEnd
            ? s->Engine->RamBase + (physical - GuestMemoryLayout.HighRamStart + GuestMemoryLayout.DeviceHoleStart)
            : null;
    }

    /// <summary>
    /// Translates for one access, setting accessed and dirty bits. On failure the entry that maps the page is unchanged, and
    /// <paramref name="error"/> is the page-fault error code.
    /// </summary>
    /// <remarks>Each entry is read once, so that what is checked is what is used even if another agent writes to it meanwhile.</remarks>
    /// <param name="user">The access counts as made at CPL 3.</param>
    /// <param name="allowUserPages">A supervisor access that SMAP does not stop (EFLAGS.AC).</param>
    public static bool Translate(CpuState* s, ulong linear, AccessKind kind, bool user, bool allowUserPages, out Translation t, out uint error)
    {
        error = 0;
        if ((s->Cr0 & Cr0.PG) == 0)
        {
            t = new Translation
            {
                Physical = linear & 0xFFFF_FFFF, Writable = true, User = true, Global = false, Dirty = true, PageShift = Page.Shift,
            };
            return true;
        }

        t = default;
        if (!Walk(s, linear, marks: true, ref t, out Leaf leaf, ref error))
        {
            return FailAs(s, kind, user, ref error);
        }

        if (!Permitted(s, kind, user, allowUserPages, in t))
        {
            error = ErrorPresent;
            return FailAs(s, kind, user, ref error);
        }

        Mark(s, leaf.Slot, leaf.Entry, A | (kind == AccessKind.Write ? D : 0));
        t.Dirty = kind == AccessKind.Write || (leaf.Entry & D) != 0;
        return true;
    }

    /// <summary>Whether the page at a linear address, which was just translated, is global. Changes nothing.</summary>
    public static bool IsGlobal(CpuState* s, ulong linear)
    {
        Translation t = default;
        uint error = 0;
        return (s->Cr0 & Cr0.PG) != 0 && Walk(s, linear, marks: false, ref t, out _, ref error) && t.Global;
    }

    private static bool Walk(CpuState* s, ulong linear, bool marks, ref Translation t, out Leaf leaf, ref uint error)
    {
        bool wide = (s->Efer & Efer.LMA) != 0 || (s->Cr4 & Cr4.PAE) != 0;
        return wide ? WalkWide(s, linear, marks, ref t, out leaf, ref error) : WalkLegacy(s, linear, marks, ref t, out leaf, ref error);
    }

    /// <summary>
    /// Sets bits of an entry that was read before. It is a write to memory like any other: it drops blocks decoded from these bytes,
    /// possibly the running one.
    /// </summary>
    /// <param name="bits">In the low half, whatever the width of the entry.</param>
    private static void Mark(CpuState* s, void* slot, ulong entry, ulong bits)
    {
        if ((entry & bits) == bits)
        {
            return;
        }

        Mmu.NoteWrite(s, (byte*)slot, sizeof(uint));
        Interlocked.Or(ref *(uint*)slot, (uint)bits);
    }

    private static bool FailAs(CpuState* s, AccessKind kind, bool user, ref uint error)
    {
        error |= kind == AccessKind.Write ? ErrorWrite : 0;
        error |= user ? ErrorUser : 0;
        bool fetchShown = (s->Cr4 & Cr4.SMEP) != 0 || ((s->Efer & Efer.NXE) != 0 && (s->Cr4 & Cr4.PAE) != 0);
        error |= kind == AccessKind.Execute && fetchShown ? ErrorFetch : 0;
        return false;
    }

    /// <summary>Access rights (vol. 3, 4.6.1).</summary>
    private static bool Permitted(CpuState* s, AccessKind kind, bool user, bool allowUserPages, in Translation t)
    {
        if (kind == AccessKind.Execute && t.NoExecute)
        {
            return false;
        }

        if (user)
        {
            return t.User && (kind != AccessKind.Write || t.Writable);
        }

        if (t.User)
        {
            if (kind == AccessKind.Execute)
            {
                return (s->Cr4 & Cr4.SMEP) == 0;
            }

            if ((s->Cr4 & Cr4.SMAP) != 0 && !allowUserPages)
            {
                return false;
            }
        }

        return kind != AccessKind.Write || t.Writable || (s->Cr0 & Cr0.WP) == 0;
    }

    /// <summary>8-byte entries: four levels in IA-32e mode, two below a directory pointer with PAE.</summary>
    private static bool WalkWide(CpuState* s, ulong linear, bool marks, ref Translation t, out Leaf leaf, ref uint error)
    {
        if ((s->Efer & Efer.LMA) != 0)
        {
            return WalkTables(s, linear, marks, s->Cr3 & AddressMask, 39, PS, ref t, out leaf, ref error);
        }

        leaf = default;
        ulong pointer = ReadWide(Host(s, (s->Cr3 & 0xFFFF_FFE0) + (((linear >> 30) & 3) * 8)));
        return (pointer & P) != 0 && WalkTables(s, linear, marks, pointer & AddressMask, 21, PaeReserved, ref t, out leaf, ref error);
    }

    /// <param name="table">Guest-physical address of the first table.</param>
    /// <param name="shift">Lowest bit of the linear address that indexes it.</param>
    /// <param name="reservedInFirst">Bits that must be clear in the first table, besides the common ones; below it those of bits 52 and up.</param>
    private static bool WalkTables(
        CpuState* s, ulong linear, bool marks, ulong table, int shift, ulong reservedInFirst, ref Translation t, out Leaf leaf, ref uint error)
    {
        ulong common = ReservedHigh | (reservedInFirst & PaeReserved) | ((s->Efer & Efer.NXE) != 0 ? 0 : NX);
        ulong rights = W | U;
        bool noExecute = false;
        leaf = default;
        for (ulong special = reservedInFirst; ; shift -= 9, special = 0)
        {
            byte* slot = Host(s, table + (((linear >> shift) & 0x1FF) * 8));
            ulong entry = ReadWide(slot);
            if ((entry & P) == 0)
            {
                return false;
            }

            bool isLeaf = shift == Page.Shift || (shift is 21 or 30 && (entry & PS) != 0);
            ulong offsetMask = (1UL << shift) - 1;
            ulong reserved = common | special | (isLeaf && shift > Page.Shift ? offsetMask & ~0x1FFFUL : 0);
            if ((entry & reserved) != 0)
            {
                error = ErrorPresent | ErrorReserved;
                return false;
            }

            rights &= entry;
            noExecute |= (entry & NX) != 0;
            if (isLeaf)
            {
                leaf = new Leaf(slot, entry);
                t.Physical = (entry & AddressMask & ~offsetMask) | (linear & offsetMask);
                t.PageShift = (byte)shift;
                t.Writable = (rights & W) != 0;
                t.User = (rights & U) != 0;
                t.NoExecute = noExecute;
                t.Global = (entry & G) != 0;
                return true;
            }

            if (marks)
            {
                Mark(s, slot, entry, A);
            }

            table = entry & AddressMask;
        }
    }

    /// <summary>4-byte entries, two levels.</summary>
    private static bool WalkLegacy(CpuState* s, ulong linear, bool marks, ref Translation t, out Leaf leaf, ref uint error)
    {
        leaf = default;
        byte* slot = Host(s, Page.Base((uint)s->Cr3) + (((linear >> 22) & 0x3FF) * 4));
        uint entry = ReadLegacy(slot);
        if ((entry & P) == 0)
        {
            return false;
        }

        ulong rights = (W | U) & entry;
        if ((entry & PS) != 0 && (s->Cr4 & Cr4.PSE) != 0)
        {
            if ((entry & (1 << 21)) != 0)
            {
                error = ErrorPresent | ErrorReserved;
                return false;
            }

            // PSE-36: bits 20..13 of the entry are bits 39..32 of the address (vol. 3, table 4-4).
            ulong high = ((ulong)entry >> 13 & 0xFF) << 32;
            t.Physical = high | (entry & 0xFFC0_0000) | (linear & 0x3F_FFFF);
            t.PageShift = 22;
        }
        else
        {
            uint directory = entry;
            byte* directorySlot = slot;
            slot = Host(s, Page.Base(directory) + ((Page.Number(linear) & 0x3FF) * 4));
            entry = ReadLegacy(slot);
            if ((entry & P) == 0)
            {
                return false;
            }

            if (marks)
            {
                Mark(s, directorySlot, directory, A);
            }

            rights &= entry;
            t.Physical = Page.Base(entry) | Page.Offset(linear);
            t.PageShift = Page.Shift;
        }

        leaf = new Leaf(slot, entry);
        t.Writable = (rights & W) != 0;
        t.User = (rights & U) != 0;
        t.Global = (entry & G) != 0;
        return true;
    }

    // Read once; an entry that is not in RAM is not present.
    private static ulong ReadWide(byte* slot) => slot == null ? 0 : Volatile.Read(ref *(ulong*)slot);

    private static uint ReadLegacy(byte* slot) => slot == null ? 0 : Volatile.Read(ref *(uint*)slot);

    /// <summary>The entry that maps the page: its host address, and its value when it was read.</summary>
    private readonly struct Leaf(byte* slot, ulong entry)
    {
        public readonly byte* Slot = slot;
        public readonly ulong Entry = entry;
    }
}
