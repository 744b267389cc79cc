using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Paging;

/// <summary>What changes the set of valid translations, or selects the TLB that is used.</summary>
// SAFETY: s is a live processor's state. The TLB and the page ranges put into it belong to AddressSpaces, which lives as long as the
// processor.
internal static unsafe partial class Mmu
{

    /// <summary>
    /// Recomputes everything derived from CPL, CR0, CR4, EFER, RFLAGS, DR7 and the segment registers: <see cref="CpuState.Mode"/>,
    /// <see cref="CpuState.IpMask"/>, <see cref="CpuState.StackMask"/>, <see cref="PagingState.Tlb"/>. Call after changing any of them.
    /// </summary>
    public static void UpdateMode(CpuState* s)
    {
        ref SegmentRegister cs = ref s->Segments[(int)SegmentIndex.Cs];
        ref SegmentRegister ss = ref s->Segments[(int)SegmentIndex.Ss];
        CpuMode mode = CpuMode.None;
        mode |= (s->Cr0 & Cr0.PE) != 0 ? CpuMode.Protected : 0;
        mode |= s->Cpl == 3 ? CpuMode.User : 0;
        mode |= (s->SystemFlags & Flags.VM) != 0 && (mode & CpuMode.Protected) != 0 ? CpuMode.Virtual8086 : 0;
        if ((s->Efer & Efer.LMA) != 0)
        {
            mode |= CpuMode.LongActive;
            mode |= (cs.Attributes & SegmentRegister.L) != 0 ? CpuMode.Long64 : 0;
        }

        if ((mode & CpuMode.Long64) != 0)
        {
            s->IpMask = ulong.MaxValue;
            s->StackMask = ulong.MaxValue;
        }
        else
        {
            mode |= (cs.Attributes & SegmentRegister.Db) != 0 ? CpuMode.Code32 : 0;
            mode |= (ss.Attributes & SegmentRegister.Db) != 0 ? CpuMode.Stack32 : 0;
            mode |= IsFlat(s) ? 0 : CpuMode.Segmented;
            mode |= IsUnlimited(in s->Segments[(int)SegmentIndex.Fs]) ? CpuMode.UnlimitedFs : 0;
            mode |= IsUnlimited(in s->Segments[(int)SegmentIndex.Gs]) ? CpuMode.UnlimitedGs : 0;
            s->IpMask = (mode & CpuMode.Code32) != 0 ? uint.MaxValue : ushort.MaxValue;
            s->StackMask = (mode & CpuMode.Stack32) != 0 ? uint.MaxValue : ushort.MaxValue;
        }

        s->Mode = mode | VectorModes.ModeBits(s);
        AddressSpaces spaces = MemoryUnit.Of(s).Spaces;
        TlbView view = View(s);
        bool alwaysMiss = AlignmentChecked(s) || (s->Dr7 & DebugState.Enables) != 0;
        PagingState.Of(s)->Tlb = alwaysMiss ? spaces.AlwaysMiss : spaces.Activate(view);
        UpdateWalk(s, view, alwaysMiss);
        PagingState.Of(s)->LargePages = spaces.CurrentLargePages;
        spaces.Listener?.ViewChanged(s, spaces.CurrentNumber, view);
    }

    /// <summary>Sets the conditions under which the emitted page walk may fill the TLB.</summary>
    private static void UpdateWalk(CpuState* s, TlbView view, bool alwaysMiss)
    {
        bool anyPage = view == TlbView.SupervisorAc || (s->Cr4 & Cr4.SMAP) == 0;
        PagingState.Of(s)->WalkMask = view == TlbView.User || !anyPage ? PageWalk.U : 0;

        // A condition that is never met leaves all walks to PageWalk, which supports the paging modes of 32-bit code too.
        PagingState.Of(s)->WalkWant = alwaysMiss || (s->Mode & CpuMode.LongActive) == 0 ? 1 : view == TlbView.User ? PageWalk.U : 0;
        ulong reserved = PageWalk.ReservedHigh | ((s->Efer & Efer.NXE) != 0 ? 0 : PageWalk.NX);
        if (PagingState.Of(s)->WalkReserved != reserved)
        {
            PagingState.Of(s)->WalkReserved = reserved;
            MemoryUnit.Of(s).Spaces.ForgetWalks();
        }
    }

    /// <summary>Selects the address space of CR3 and CR4.PCIDE; <paramref name="keep"/> keeps its cached translations (CR3 bit 63).</summary>
    public static void SwitchAddressSpace(CpuState* s, bool keep)
    {
        uint pcid = (s->Cr4 & Cr4.PCIDE) != 0 ? (uint)(s->Cr3 & Cr3.Pcid) : 0;
        MemoryUnit.Of(s).Spaces.Select(pcid, keep);
        UpdateMode(s);
    }

    /// <summary>INVLPG.</summary>
    public static void InvalidatePage(CpuState* s, ulong linear) => MemoryUnit.Of(s).Spaces.InvalidatePage(linear);

    /// <summary>Drops all translations of one PCID (INVPCID type 1).</summary>
    public static void InvalidatePcid(CpuState* s, uint pcid) => MemoryUnit.Of(s).Spaces.InvalidateSpace(pcid);

    /// <summary>Drops one page of one PCID (INVPCID type 0).</summary>
    public static void InvalidatePcidPage(CpuState* s, uint pcid, ulong linear) =>
        MemoryUnit.Of(s).Spaces.InvalidatePage(pcid, linear);

    /// <summary>Drops every translation, global ones too.</summary>
    public static void FlushAll(CpuState* s) => MemoryUnit.Of(s).Spaces.FlushAll();

    public static TlbView View(CpuState* s)
    {
        if (s->Cpl == 3)
        {
            return TlbView.User;
        }

        return (s->SystemFlags & Flags.AC) != 0 && (s->Cr4 & Cr4.SMAP) != 0 ? TlbView.SupervisorAc : TlbView.Supervisor;
    }

    private static bool AlignmentChecked(CpuState* s) =>
        s->Cpl == 3 && (s->Cr0 & Cr0.AM) != 0 && (s->SystemFlags & Flags.AC) != 0;

    /// <summary>Code, data and stack are all one 4 GiB segment at 0: addresses need neither bases nor checks.</summary>
    private static bool IsFlat(CpuState* s)
    {
        ref SegmentRegister cs = ref s->Segments[(int)SegmentIndex.Cs];
        if (cs.Base != 0 || cs.Limit != uint.MaxValue)
        {
            return false;
        }

        for (SegmentIndex i = SegmentIndex.Es; i <= SegmentIndex.Ds; i++)
        {
            ref SegmentRegister segment = ref s->Segments[(int)i];
            if (i != SegmentIndex.Cs && (segment.Base != 0 || (segment.Attributes & SegmentRegister.Db) == 0 || !IsUnlimited(in segment)))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Writable, expand-up data of 4 GiB: type bit 1 set, bits 2 and 3 clear.</summary>
    private static bool IsUnlimited(in SegmentRegister segment)
    {
        const ushort need = SegmentRegister.Present | SegmentRegister.S;
        return segment.Limit == uint.MaxValue && (segment.Attributes & need) == need && (segment.Attributes & 0xE) == 2;
    }
}
