using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Control;

/// <summary>
/// RDMSR and WRMSR (Intel SDM vol. 4, table 2-2). All other registers belong to devices on the bus, such as the local APIC and kvm-clock.
/// </summary>
// SAFETY: handlers: the handler contract (Op). An MSR is selected by switch; references to fields are taken from s and used during the
// call.
internal static unsafe class ModelSpecificRegisters
{
    /// <summary>
    /// IA32_ARCH_CAPABILITIES: RDCL_NO, SKIP_L1DFL_VMENTRY, SSB_NO, MDS_NO, PSCHANGE_MC_NO, TAA_NO, SBDR_SSDP_NO, FBSDP_NO, PSDP_NO,
    /// BHI_NO, PBRSB_NO, GDS_NO, RFDS_NO, ITS_NO: nothing here speculates, so a guest needs no mitigation.
    /// </summary>
    private const ulong ArchCapabilities = 1UL << 0 | 1UL << 3 | 1UL << 4 | 1UL << 5 | 1UL << 6 | 1UL << 8 | 1UL << 13 | 1UL << 14
        | 1UL << 15 | 1UL << 20 | 1UL << 24 | 1UL << 26 | 1UL << 27 | 1UL << 62;

    /// <summary>IA32_MISC_ENABLE: fast strings (bit 0) can be switched; branch trace and PEBS storage are unavailable (11, 12).</summary>
    public const ulong MiscEnableDefault = 1 | 1 << 11 | 1 << 12;

    /// <summary>IA32_BIOS_SIGN_ID, bits 63..32: a microcode revision for the guest to read.</summary>
    private const ulong MicrocodeRevision = 0x100UL << 32;

    /// <summary>RDMSR.</summary>
    public static Op* Read(CpuState* s, Op* op)
    {
        if (s->Cpl != 0)
        {
            return Raise.GP(s);
        }

        var index = (uint)s->Gpr[Gpr.Rcx];
        if (!TryRead(s, index, out ulong value))
        {
            CpuLog.Of(s).ReportOnce(SystemReport.UnknownMsrRead, index);
            return Raise.GP(s);
        }

        s->Gpr[Gpr.Rax] = (uint)value;
        s->Gpr[Gpr.Rdx] = value >> 32;
        return op + 1;
    }

    /// <summary>WRMSR. It ends the block: a device may have an interrupt to deliver.</summary>
    public static Op* Write(CpuState* s, Op* op)
    {
        if (s->Cpl != 0)
        {
            return Raise.GP(s);
        }

        var index = (uint)s->Gpr[Gpr.Rcx];
        ulong value = (uint)s->Gpr[Gpr.Rax] | (s->Gpr[Gpr.Rdx] << 32);
        if (!TryWrite(s, index, value))
        {
            CpuLog.Of(s).ReportOnce(SystemReport.UnknownMsrWrite, index);
            return Raise.GP(s);
        }

        return BlockExit.Behind(s, op);
    }

    /// <summary>Reads a register, the processor's or a device's; false: #GP(0).</summary>
    public static bool TryRead(CpuState* s, uint index, out ulong value)
    {
        if (TryReadOwn(s, index, out value))
        {
            return true;
        }

        MemoryUnit unit = MemoryUnit.Of(s);
        bool known = unit.Bus.TryReadMsr(unit.Processor, index, out value);
        if (index == MsrNumber.TscDeadline && value != 0)
        {
            value += s->TscAdjust;
        }

        return known;
    }

    /// <summary>Writes a register, the processor's or a device's; false: #GP(0).</summary>
    public static bool TryWrite(CpuState* s, uint index, ulong value)
    {
        RegisterRefusal refusal = index == MsrNumber.Efer ? SetEfer(s, value) : WriteOwn(s, index, value);
        if (refusal != RegisterRefusal.NotWritable)
        {
            return refusal == RegisterRefusal.None;
        }

        MemoryUnit unit = MemoryUnit.Of(s);
        if (index == MsrNumber.TscDeadline && value != 0)
        {
            // The device compares with the counter before IA32_TSC_ADJUST; zero disarms and stays zero.
            value = Math.Max(1, value - s->TscAdjust);
        }

        return unit.Bus.TryWriteMsr(unit.Processor, index, value);
    }

    /// <summary>Reads a register of the processor itself; false: it has no such register.</summary>
    public static bool TryReadOwn(CpuState* s, uint index, out ulong value)
    {
        switch (index)
        {
            case MsrNumber.TimeStampCounter: value = SystemUnit.Of(s).ReadTsc(); return true;
            case MsrNumber.PlatformId: value = 0; return true;
            case MsrNumber.FeatureControl: value = 1; return true; // Locked, nothing enabled.
            case MsrNumber.TscAdjust: value = s->TscAdjust; return true;
            case MsrNumber.UpdateSignature: value = MicrocodeRevision; return true;
            case MsrNumber.PlatformInfo: value = SystemUnit.Of(s).PlatformInfo; return true;
            case MsrNumber.MtrrCap: value = MemoryTypeRanges.Capabilities; return true;
            case MsrNumber.ArchCapabilities: value = ArchCapabilities; return true;
            case MsrNumber.SysenterCs: value = s->SysenterCs; return true;
            case MsrNumber.SysenterEsp: value = s->SysenterEsp; return true;
            case MsrNumber.SysenterEip: value = s->SysenterEip; return true;
            case MsrNumber.McgCap: value = 0; return true; // No banks.
            case MsrNumber.McgStatus: value = s->MachineCheckStatus; return true;
            case MsrNumber.MiscEnable: value = s->MiscEnable; return true;
            case MsrNumber.DebugCtl: value = s->DebugControl; return true;
            case MsrNumber.Pat: value = s->Pat; return true;
            case >= MsrNumber.FirstMemoryType and <= MsrNumber.LastMemoryType: return s->MemoryTypes.TryRead(index, out value);
            case MsrNumber.Efer: value = s->Efer; return true;
            case MsrNumber.Star: value = s->Star; return true;
            case MsrNumber.LStar: value = s->LStar; return true;
            case MsrNumber.CStar: value = s->CStar; return true;
            case MsrNumber.FMask: value = s->SfMask; return true;
            case MsrNumber.FsBase: value = s->Segments[(int)SegmentIndex.Fs].Base; return true;
            case MsrNumber.GsBase: value = s->Segments[(int)SegmentIndex.Gs].Base; return true;
            case MsrNumber.KernelGsBase: value = s->KernelGsBase; return true;
            case MsrNumber.TscAux: value = s->TscAux; return true;
            default: value = 0; return false;
        }
    }

    /// <summary>Writes a register of the processor itself, but for IA32_EFER, whose rules depend on who writes it.</summary>
    public static RegisterRefusal WriteOwn(CpuState* s, uint index, ulong value)
    {
        switch (index)
        {
            case MsrNumber.TimeStampCounter: s->TscAdjust += value - SystemUnit.Of(s).ReadTsc(); return RegisterRefusal.None;
            case MsrNumber.TscAdjust: s->TscAdjust = value; return RegisterRefusal.None;

            // A microcode update is accepted and does nothing; its revision is asked for by writing zero.
            case MsrNumber.UpdateTrigger or MsrNumber.UpdateSignature: return RegisterRefusal.None;
            case MsrNumber.SysenterCs: s->SysenterCs = (uint)value; return RegisterRefusal.None;
            case MsrNumber.SysenterEsp: return SetCanonical(ref s->SysenterEsp, value);
            case MsrNumber.SysenterEip: return SetCanonical(ref s->SysenterEip, value);
            case MsrNumber.McgStatus: return SetMasked(ref s->MachineCheckStatus, value, 7);
            case MsrNumber.MiscEnable: s->MiscEnable = (value & 1) | (MiscEnableDefault & ~1UL); return RegisterRefusal.None;
            case MsrNumber.DebugCtl: return SetMasked(ref s->DebugControl, value, 3); // LBR, BTF: kept, without effect
            case MsrNumber.Pat: return SetPat(s, value);
            case >= MsrNumber.FirstMemoryType and <= MsrNumber.LastMemoryType: return s->MemoryTypes.Write(index, value);
            case MsrNumber.Star: s->Star = value; return RegisterRefusal.None;
            case MsrNumber.LStar: return SetCanonical(ref s->LStar, value);
            case MsrNumber.CStar: return SetCanonical(ref s->CStar, value);
            case MsrNumber.FMask: return SetMasked(ref s->SfMask, value, uint.MaxValue);
            case MsrNumber.FsBase: return SetCanonical(ref s->Segments[(int)SegmentIndex.Fs].Base, value);
            case MsrNumber.GsBase: return SetCanonical(ref s->Segments[(int)SegmentIndex.Gs].Base, value);
            case MsrNumber.KernelGsBase: return SetCanonical(ref s->KernelGsBase, value);
            case MsrNumber.TscAux: return SetMasked(ref s->TscAux, value, uint.MaxValue);
            default: return RegisterRefusal.NotWritable;
        }
    }

    /// <summary>What IA32_EFER cannot hold whatever the rest of the processor is like.</summary>
    public static RegisterRefusal CheckEfer(ulong value) =>
        (value & ~(Efer.SCE | Efer.LME | Efer.LMA | Efer.NXE)) != 0 ? RegisterRefusal.ReservedBits : RegisterRefusal.None;

    private static RegisterRefusal SetCanonical(ref ulong register, ulong value)
    {
        if (!Canonical.Is(value))
        {
            return RegisterRefusal.NotCanonical;
        }

        register = value;
        return RegisterRefusal.None;
    }

    private static RegisterRefusal SetMasked(ref ulong register, ulong value, ulong writable)
    {
        if ((value & ~writable) != 0)
        {
            return RegisterRefusal.ReservedBits;
        }

        register = value;
        return RegisterRefusal.None;
    }

    /// <summary>WRMSR of IA32_EFER: LMA cannot be written, LME not while paging is on (Intel SDM vol. 3, 2.2.1).</summary>
    private static RegisterRefusal SetEfer(CpuState* s, ulong value)
    {
        RegisterRefusal refusal = CheckEfer(value);
        if (refusal != RegisterRefusal.None)
        {
            return refusal;
        }

        if (((value ^ s->Efer) & Efer.LME) != 0 && (s->Cr0 & Cr0.PG) != 0)
        {
            return RegisterRefusal.State;
        }

        ulong efer = (value & ~Efer.LMA) | (s->Efer & Efer.LMA);
        bool flush = ((efer ^ s->Efer) & Efer.NXE) != 0;
        s->Efer = efer;
        if (flush)
        {
            Mmu.FlushAll(s);
            Mmu.UpdateMode(s);
        }

        return RegisterRefusal.None;
    }

    /// <summary>IA32_PAT: eight types of UC, WC, WT, WP, WB, UC- (Intel SDM vol. 3, 13.12.2).</summary>
    private static RegisterRefusal SetPat(CpuState* s, ulong value)
    {
        for (int shift = 0; shift < 64; shift += 8)
        {
            if ((byte)(value >> shift) is not (0 or 1 or 4 or 5 or 6 or 7))
            {
                return RegisterRefusal.MemoryType;
            }
        }

        s->Pat = value;
        return RegisterRefusal.None;
    }
}
