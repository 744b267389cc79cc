using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.Segments;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Control;

/// <summary>Initial processor states: after power-on, and those that boot protocols and bare code start in.</summary>
// SAFETY: s is the state of a processor that does not run. Arrays are indexed by their own constants.
internal static unsafe class CpuReset
{
    private const ushort Code64 = 0xA09B, Code32 = 0xC09B, Data32 = 0xC093, RealCode = 0x9B, BusyTss = 0x8B, LdtRights = 0x82;

    /// <summary>The state after power-up (Intel SDM vol. 3, table 10-1). RDX holds the signature.</summary>
    public static void PowerOn(CpuState* s)
    {
        Clear(s);
        for (SegmentIndex i = SegmentIndex.Es; i <= SegmentIndex.Gs; i++)
        {
            s->Segments[(int)i] = Real(0, SegmentLoader.RealAttributes);
        }

        s->Segments[(int)SegmentIndex.Cs] = Real(0xF000, RealCode);
        s->Segments[(int)SegmentIndex.Cs].Base = 0xFFFF0000;
        s->Rip = 0xFFF0;
        s->Cr0 = Cr0.CD | Cr0.NW | Cr0.ET;
        s->GdtLimit = s->IdtLimit = ushort.MaxValue;
        Finish(s);
        s->Gpr[2] = SystemUnit.Of(s).QueryCpuid(1, 0).Eax;
    }

    /// <summary>Real-address mode at a far address, with all segments at the code segment's paragraph.</summary>
    public static void EnterReal16(CpuState* s, ushort segment, ushort offset)
    {
        Clear(s);
        for (SegmentIndex i = SegmentIndex.Es; i <= SegmentIndex.Gs; i++)
        {
            s->Segments[(int)i] = Real(segment, i == SegmentIndex.Cs ? RealCode : SegmentLoader.RealAttributes);
        }

        s->Rip = offset;
        s->Cr0 = Cr0.ET;
        s->IdtLimit = 0x3FF;
        s->GdtLimit = ushort.MaxValue;
        Finish(s);
    }

    /// <summary>Protected mode without paging: flat 4 GiB segments, interrupts off.</summary>
    /// <param name="s">The processor.</param>
    /// <param name="eip">Entry point.</param>
    /// <param name="cs">Selector of CS; the boot protocol's GDT should have its descriptor there.</param>
    /// <param name="ds">Selector of DS, ES, SS, FS and GS.</param>
    public static void EnterProtected32Flat(CpuState* s, uint eip, ushort cs, ushort ds)
    {
        Clear(s);
        SetFlat(s, cs, ds, Code32);
        s->Rip = eip;
        s->Cr0 = Cr0.PE | Cr0.ET;
        Finish(s);
    }

    /// <summary>64-bit mode with 4-level paging: flat segments, interrupts off, NX enabled.</summary>
    /// <param name="s">The processor.</param>
    /// <param name="rip">Entry point.</param>
    /// <param name="cr3">Guest-physical address of the top page table.</param>
    /// <param name="cs">Selector of CS.</param>
    /// <param name="ds">Selector DS, ES, SS, FS and GS show.</param>
    public static void EnterLong64(CpuState* s, ulong rip, ulong cr3, ushort cs, ushort ds)
    {
        Clear(s);
        SetFlat(s, cs, ds, Code64);
        s->Rip = rip;
        s->Cr3 = cr3;
        s->Cr4 = Cr4.PAE;
        s->Efer = Efer.LME | Efer.LMA | Efer.NXE;
        s->Cr0 = Cr0.PE | Cr0.ET | Cr0.NE | Cr0.WP | Cr0.PG;
        Finish(s);
    }

    /// <summary>Sets the descriptor tables a boot protocol has put into memory.</summary>
    public static void SetTables(CpuState* s, ulong gdtBase, ushort gdtLimit, ulong idtBase, ushort idtLimit)
    {
        s->GdtBase = gdtBase;
        s->GdtLimit = gdtLimit;
        s->IdtBase = idtBase;
        s->IdtLimit = idtLimit;
    }

    private static void SetFlat(CpuState* s, ushort cs, ushort ds, ushort codeAttributes)
    {
        for (SegmentIndex i = SegmentIndex.Es; i <= SegmentIndex.Gs; i++)
        {
            bool isCode = i == SegmentIndex.Cs;
            s->Segments[(int)i] = new SegmentRegister
            {
                Limit = uint.MaxValue, Selector = isCode ? cs : ds, Attributes = isCode ? codeAttributes : Data32,
            };
        }
    }

    private static SegmentRegister Real(ushort selector, ushort attributes) =>
        new() { Base = (ulong)selector << 4, Limit = ushort.MaxValue, Selector = selector, Attributes = attributes };

    /// <summary>Sets the architectural state that all initial states share; the engine's own state is unchanged.</summary>
    private static void Clear(CpuState* s)
    {
        for (int i = 0; i < CpuState.GprCount; i++)
        {
            s->Gpr[i] = 0;
        }

        Flags.Set(s, 0);
        s->Cpl = 0;
        s->Halted = s->InterruptShadow = s->NmiBlocked = false;
        s->HeldDebug = 0;
        s->Segments[(int)SegmentIndex.Ldtr] = new SegmentRegister { Limit = ushort.MaxValue, Attributes = LdtRights };
        s->Segments[(int)SegmentIndex.Tr] = new SegmentRegister { Limit = ushort.MaxValue, Attributes = BusyTss };
        s->GdtBase = s->IdtBase = 0;
        s->GdtLimit = s->IdtLimit = 0;
        s->Cr2 = s->Cr3 = s->Cr4 = 0;
        s->Xcr0 = 1;
        s->Dr0 = s->Dr1 = s->Dr2 = s->Dr3 = 0;
        s->Dr6 = DebugState.Dr6Fixed;
        s->Dr7 = DebugState.Dr7Fixed;
        s->Efer = s->Star = s->LStar = s->CStar = s->SfMask = s->KernelGsBase = 0;
        s->SysenterCs = s->SysenterEsp = s->SysenterEip = 0;
        s->TscAux = s->TscAdjust = 0;
        s->DebugControl = s->MachineCheckStatus = 0;
        s->MiscEnable = ModelSpecificRegisters.MiscEnableDefault;
        s->Pat = 0x0007040600070406;
        s->MemoryTypes.SetFirmwareDefaults();
        ClearFloatingPoint(s);
    }

    /// <summary>x87 as after power-up or FNINIT, vector registers zero, MXCSR with all exceptions masked.</summary>
    private static void ClearFloatingPoint(CpuState* s)
    {
        s->Vectors = default;
        StateComponents.ResetX87(s);
        s->Mxcsr = StateComponents.InitialMxcsr;
    }

    private static void Finish(CpuState* s)
    {
        Mmu.FlushAll(s);
        Mmu.SwitchAddressSpace(s, keep: false);
        DebugState.RefreshStepping(s);
    }
}
