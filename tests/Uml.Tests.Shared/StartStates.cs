using Uml.Core.Cpu.Control;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;

namespace Uml.Tests.Shared;

/// <summary>States that bare code starts in. Everything that they do not set is as after power-on, and general registers are zero.</summary>
// SAFETY: s is the state of a processor that does not run. Segments are indexed by their own constants.
internal static unsafe class StartStates
{
    private const ushort LongCode = 0xA09B, FlatCode = 0xC09B, FlatData = 0xC093, RealCode = 0x9B, RealData = 0x93;

    /// <summary>Real-address mode at a far address, with all segments at the code segment's paragraph.</summary>
    public static void EnterReal16(CpuState* s, ushort segment, ushort offset)
    {
        Clear(s);
        for (SegmentIndex i = SegmentIndex.Es; i <= SegmentIndex.Gs; i++)
        {
            s->Segments[(int)i] = new SegmentRegister
            {
                Base = (ulong)segment << 4, Limit = ushort.MaxValue, Selector = segment, Attributes = i == SegmentIndex.Cs ? RealCode : RealData,
            };
        }

        s->Rip = offset;
        s->Cr0 = Cr0.ET;
        SetTables(s, 0, ushort.MaxValue, 0, 0x3FF);
        Update(s);
    }

    /// <summary>Protected mode without paging: flat segments, interrupts off.</summary>
    /// <param name="s">The processor.</param>
    /// <param name="eip">Entry point.</param>
    /// <param name="cs">Selector of CS.</param>
    /// <param name="ds">Selector of the other segments.</param>
    public static void EnterProtected32Flat(CpuState* s, uint eip, ushort cs, ushort ds)
    {
        Clear(s);
        SetFlat(s, cs, ds, FlatCode);
        s->Rip = eip;
        s->Cr0 = Cr0.PE | Cr0.ET;
        Update(s);
    }

    /// <summary>64-bit mode with 4-level paging: flat segments, interrupts off, NX enabled.</summary>
    /// <param name="s">The processor.</param>
    /// <param name="rip">Entry point.</param>
    /// <param name="cr3">Guest-physical address of the top page table.</param>
    /// <param name="cs">Selector of CS.</param>
    /// <param name="ds">Selector of the other segments.</param>
    public static void EnterLong64(CpuState* s, ulong rip, ulong cr3, ushort cs, ushort ds)
    {
        Clear(s);
        SetFlat(s, cs, ds, LongCode);
        s->Rip = rip;
        s->Cr3 = cr3;
        s->Cr4 = Cr4.PAE;
        s->Efer = Efer.LME | Efer.LMA | Efer.NXE;
        s->Cr0 = Cr0.PE | Cr0.ET | Cr0.NE | Cr0.WP | Cr0.PG;
        Update(s);
    }

    /// <summary>Sets GDTR and IDTR.</summary>
    public static void SetTables(CpuState* s, ulong gdtBase, ushort gdtLimit, ulong idtBase, ushort idtLimit)
    {
        (s->GdtBase, s->GdtLimit) = (gdtBase, gdtLimit);
        (s->IdtBase, s->IdtLimit) = (idtBase, idtLimit);
    }

    private static void Clear(CpuState* s)
    {
        CpuReset.PowerOn(s);
        s->Gpr[2] = 0;
        SetTables(s, 0, 0, 0, 0);
    }

    private static void SetFlat(CpuState* s, ushort cs, ushort ds, ushort codeAttributes)
    {
        for (SegmentIndex i = SegmentIndex.Es; i <= SegmentIndex.Gs; i++)
        {
            bool isCode = i == SegmentIndex.Cs;
            s->Segments[(int)i] = new SegmentRegister
            {
                Limit = uint.MaxValue, Selector = isCode ? cs : ds, Attributes = isCode ? codeAttributes : FlatData,
            };
        }
    }

    private static void Update(CpuState* s)
    {
        Mmu.FlushAll(s);
        Mmu.SwitchAddressSpace(s, keep: false);
        DebugState.RefreshStepping(s);
    }
}
