using System.Runtime.CompilerServices;
using Uml.Core.Memory;

namespace Uml.Core.Cpu.Paging;

internal enum AccessKind : byte { Read, Write, Execute }

/// <summary>Where a linear page leads and what may be done there.</summary>
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
internal static unsafe class PageWalk
{
    public const ulong P = 1, W = 2, U = 4, A = 1 << 5, D = 1 << 6, PS = 1 << 7, G = 1 << 8, NX = 1UL << 63;

    // Page-fault error code (vol. 3, 4.7).
    public const uint ErrorPresent = 1, ErrorWrite = 2, ErrorUser = 4, ErrorReserved = 8, ErrorFetch = 16;

    /// <summary>MAXPHYADDR of the CPU model (CPUID 80000008H): address bits above are reserved in entries.</summary>
    public const int PhysicalBits = 46;
    private const ulong AddressMask = ((1UL << PhysicalBits) - 1) & ~0xFFFUL;
    private const ulong ReservedHigh = ~((1UL << PhysicalBits) - 1) & 0x000F_FFFF_FFFF_FFFFUL;

    private const ulong Cr0WP = 1 << 16, Cr0PG = 1UL << 31;
    private const ulong Cr4Pse = 1 << 4, Cr4Pae = 1 << 5, Cr4Smep = 1 << 20, Cr4Smap = 1 << 21;
    private const ulong EferNxe = 1 << 11;

    /// <summary>The host address of a guest-physical address in RAM, or null.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Host(CpuState* s, ulong physical)
    {
        if (physical < s->RamLowEnd)
        {
            return s->RamBase + physical;
        }

        return physical >= GuestRam.HighStart && physical < s->RamHighEnd
            ? s->RamBase + (physical - GuestRam.HighStart + GuestRam.LowLimit)
            : null;
    }

    /// <summary>
    /// Translates for one access, setting accessed and dirty bits. On failure nothing was changed and
    /// <paramref name="error"/> is the page-fault error code.
    /// </summary>
    /// <param name="user">The access counts as made at CPL 3.</param>
    /// <param name="allowUserPages">A supervisor access that SMAP does not stop (EFLAGS.AC).</param>
    public static bool Translate(CpuState* s, ulong linear, AccessKind kind, bool user, bool allowUserPages, out Translation t, out uint error)
    {
        error = 0;
        if ((s->Cr0 & Cr0PG) == 0)
        {
            t = new Translation
            {
                Physical = linear & 0xFFFF_FFFF, Writable = true, User = true, Global = false, Dirty = true, PageShift = 12,
            };
            return true;
        }

        t = default;
        ulong entry;
        ulong* slot;
        if ((s->Efer & (1 << 10)) != 0)
        {
            if (!WalkLong(s, linear, ref t, out slot, out entry, ref error))
            {
                return FailAs(s, kind, user, ref error);
            }
        }
        else if ((s->Cr4 & Cr4Pae) != 0)
        {
            if (!WalkPae(s, linear, ref t, out slot, out entry, ref error))
            {
                return FailAs(s, kind, user, ref error);
            }
        }
        else if (!WalkLegacy(s, linear, ref t, out uint* slot32, out uint entry32, ref error))
        {
            return FailAs(s, kind, user, ref error);
        }
        else
        {
            if (!Permitted(s, kind, user, allowUserPages, in t))
            {
                error = ErrorPresent;
                return FailAs(s, kind, user, ref error);
            }

            uint wanted32 = entry32 | (uint)A | (kind == AccessKind.Write ? (uint)D : 0);
            if (wanted32 != entry32)
            {
                Interlocked.Or(ref *slot32, wanted32);
            }

            t.Dirty = (wanted32 & D) != 0;
            return true;
        }

        if (!Permitted(s, kind, user, allowUserPages, in t))
        {
            error = ErrorPresent;
            return FailAs(s, kind, user, ref error);
        }

        ulong wanted = entry | A | (kind == AccessKind.Write ? D : 0);
        if (wanted != entry)
        {
            Interlocked.Or(ref *slot, wanted);
        }

        t.Dirty = (wanted & D) != 0;
        return true;
    }

    private static bool FailAs(CpuState* s, AccessKind kind, bool user, ref uint error)
    {
        error |= kind == AccessKind.Write ? ErrorWrite : 0;
        error |= user ? ErrorUser : 0;
        bool fetchShown = (s->Cr4 & Cr4Smep) != 0 || ((s->Efer & EferNxe) != 0 && (s->Cr4 & Cr4Pae) != 0);
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
                return (s->Cr4 & Cr4Smep) == 0;
            }

            if ((s->Cr4 & Cr4Smap) != 0 && !allowUserPages)
            {
                return false;
            }
        }

        return kind != AccessKind.Write || t.Writable || (s->Cr0 & Cr0WP) == 0;
    }

    private static bool WalkLong(CpuState* s, ulong linear, ref Translation t, out ulong* slot, out ulong entry, ref uint error)
    {
        bool nxe = (s->Efer & EferNxe) != 0;
        ulong table = s->Cr3 & AddressMask;
        ulong rights = W | U;
        bool noExecute = false;
        for (int shift = 39; ; shift -= 9)
        {
            slot = (ulong*)Host(s, table + ((linear >> shift) & 0x1FF) * 8);
            entry = slot == null ? 0 : *slot;
            if ((entry & P) == 0)
            {
                return false;
            }

            bool leaf = shift == 12 || (shift is 21 or 30 && (entry & PS) != 0);
            ulong reserved = ReservedHigh | (nxe ? 0 : NX);
            reserved |= leaf && shift > 12 ? ((1UL << shift) - 1) & ~0x1FFFUL : 0;
            reserved |= shift == 39 ? PS : 0;
            if ((entry & reserved) != 0)
            {
                error = ErrorPresent | ErrorReserved;
                return false;
            }

            rights &= entry;
            noExecute |= (entry & NX) != 0;
            if (leaf)
            {
                ulong offsetMask = (1UL << shift) - 1;
                t.Physical = (entry & AddressMask & ~offsetMask) | (linear & offsetMask);
                t.PageShift = (byte)shift;
                t.Writable = (rights & W) != 0;
                t.User = (rights & U) != 0;
                t.NoExecute = noExecute;
                t.Global = (entry & G) != 0;
                return true;
            }

            SetAccessed(slot, entry);
            table = entry & AddressMask;
        }
    }

    private static bool WalkPae(CpuState* s, ulong linear, ref Translation t, out ulong* slot, out ulong entry, ref uint error)
    {
        bool nxe = (s->Efer & EferNxe) != 0;
        slot = (ulong*)Host(s, (s->Cr3 & 0xFFFF_FFE0) + ((linear >> 30) & 3) * 8);
        entry = slot == null ? 0 : *slot;
        if ((entry & P) == 0)
        {
            return false;
        }

        ulong table = entry & AddressMask;
        ulong rights = W | U;
        bool noExecute = false;
        for (int shift = 21; ; shift -= 9)
        {
            slot = (ulong*)Host(s, table + ((linear >> shift) & 0x1FF) * 8);
            entry = slot == null ? 0 : *slot;
            if ((entry & P) == 0)
            {
                return false;
            }

            bool leaf = shift == 12 || (entry & PS) != 0;
            ulong reserved = ReservedHigh | (0x7FFUL << 52) | (nxe ? 0 : NX);
            reserved |= leaf && shift > 12 ? 0x1FE000UL : 0;
            if ((entry & reserved) != 0)
            {
                error = ErrorPresent | ErrorReserved;
                return false;
            }

            rights &= entry;
            noExecute |= (entry & NX) != 0;
            if (leaf)
            {
                ulong offsetMask = (1UL << shift) - 1;
                t.Physical = (entry & AddressMask & ~offsetMask) | (linear & offsetMask);
                t.PageShift = (byte)shift;
                t.Writable = (rights & W) != 0;
                t.User = (rights & U) != 0;
                t.NoExecute = noExecute;
                t.Global = (entry & G) != 0;
                return true;
            }

            SetAccessed(slot, entry);
            table = entry & AddressMask;
        }
    }

    private static bool WalkLegacy(CpuState* s, ulong linear, ref Translation t, out uint* slot, out uint entry, ref uint error)
    {
        slot = (uint*)Host(s, (s->Cr3 & 0xFFFF_F000) + ((linear >> 22) & 0x3FF) * 4);
        entry = slot == null ? 0 : *slot;
        if ((entry & P) == 0)
        {
            return false;
        }

        ulong rights = (W | U) & entry;
        if ((entry & PS) != 0 && (s->Cr4 & Cr4Pse) != 0)
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
            uint* directorySlot = slot;
            slot = (uint*)Host(s, (directory & 0xFFFF_F000) + ((linear >> 12) & 0x3FF) * 4);
            entry = slot == null ? 0 : *slot;
            if ((entry & P) == 0)
            {
                return false;
            }

            if ((directory & A) == 0)
            {
                Interlocked.Or(ref *directorySlot, (uint)A);
            }

            rights &= entry;
            t.Physical = (entry & 0xFFFF_F000) | (linear & 0xFFF);
            t.PageShift = 12;
        }

        t.Writable = (rights & W) != 0;
        t.User = (rights & U) != 0;
        t.Global = (entry & G) != 0;
        return true;
    }

    private static void SetAccessed(ulong* slot, ulong entry)
    {
        if ((entry & A) == 0)
        {
            Interlocked.Or(ref *slot, A);
        }
    }
}
