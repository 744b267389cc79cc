using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.Segments;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Control;

/// <summary>The state of a processor after power-on.</summary>
// SAFETY: s is the state of a processor that does not run. Arrays are indexed by their own constants.
internal static unsafe class CpuReset
{
    private const ushort RealCode = 0x9B, BusyTss = 0x8B, LdtRights = 0x82;

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
        Mmu.FlushAll(s);
        Mmu.SwitchAddressSpace(s, keep: false);
        DebugState.RefreshStepping(s);
        s->Gpr[2] = SystemUnit.Of(s).QueryCpuid(1, 0).Eax;
    }

    private static SegmentRegister Real(ushort selector, ushort attributes) =>
        new() { Base = (ulong)selector << 4, Limit = ushort.MaxValue, Selector = selector, Attributes = attributes };

    /// <summary>Clears the architectural state; the engine's own state is unchanged.</summary>
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
}
