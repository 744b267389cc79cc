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

    private const uint TscDeadline = 0x6E0;
    private const int Rax = 0, Rcx = 1, Rdx = 2;

    /// <summary>RDMSR.</summary>
    public static Op* Read(CpuState* s, Op* op)
    {
        if (s->Cpl != 0)
        {
            return Raise.GP(s);
        }

        var index = (uint)s->Gpr[Rcx];
        if (!TryRead(s, index, out ulong value))
        {
            CpuLog.Of(s).ReportOnce(SystemReport.UnknownMsrRead, index);
            return Raise.GP(s);
        }

        s->Gpr[Rax] = (uint)value;
        s->Gpr[Rdx] = value >> 32;
        return op + 1;
    }

    /// <summary>WRMSR. It ends the block: a device may have an interrupt to deliver.</summary>
    public static Op* Write(CpuState* s, Op* op)
    {
        if (s->Cpl != 0)
        {
            return Raise.GP(s);
        }

        var index = (uint)s->Gpr[Rcx];
        ulong value = (uint)s->Gpr[Rax] | (s->Gpr[Rdx] << 32);
        if (!TryWrite(s, index, value))
        {
            CpuLog.Of(s).ReportOnce(SystemReport.UnknownMsrWrite, index);
            return Raise.GP(s);
        }

        return BlockExit.Behind(s, op);
    }

    /// <summary>Reads a register; false: #GP(0).</summary>
    public static bool TryRead(CpuState* s, uint index, out ulong value)
    {
        MemoryUnit unit;
        switch (index)
        {
            case 0x10: value = SystemUnit.Of(s).ReadTsc(); return true;
            case 0x17: value = 0; return true; // IA32_PLATFORM_ID
            case 0x3A: value = 1; return true; // IA32_FEATURE_CONTROL: locked, nothing enabled
            case 0x3B: value = s->TscAdjust; return true;
            case 0x8B: value = MicrocodeRevision; return true;
            case 0xCE: value = SystemUnit.Of(s).PlatformInfo; return true;
            case 0xFE: value = MemoryTypeRanges.Capabilities; return true;
            case 0x10A: value = ArchCapabilities; return true;
            case 0x174: value = s->SysenterCs; return true;
            case 0x175: value = s->SysenterEsp; return true;
            case 0x176: value = s->SysenterEip; return true;
            case 0x179: value = 0; return true; // IA32_MCG_CAP: no banks
            case 0x17A: value = s->MachineCheckStatus; return true;
            case 0x1A0: value = s->MiscEnable; return true;
            case 0x1D9: value = s->DebugControl; return true;
            case >= 0x200 and <= 0x2FF when index != 0x277: return s->MemoryTypes.TryRead(index, out value);
            case 0x277: value = s->Pat; return true;
            case TscDeadline:
                unit = MemoryUnit.Of(s);
                bool known = unit.Bus.TryReadMsr(unit.Processor, index, out value);
                value = value == 0 ? 0 : value + s->TscAdjust;
                return known;
            case 0xC0000080: value = s->Efer; return true;
            case 0xC0000081: value = s->Star; return true;
            case 0xC0000082: value = s->LStar; return true;
            case 0xC0000083: value = s->CStar; return true;
            case 0xC0000084: value = s->SfMask; return true;
            case 0xC0000100: value = s->Segments[(int)SegmentIndex.Fs].Base; return true;
            case 0xC0000101: value = s->Segments[(int)SegmentIndex.Gs].Base; return true;
            case 0xC0000102: value = s->KernelGsBase; return true;
            case 0xC0000103: value = s->TscAux; return true;
            default:
                unit = MemoryUnit.Of(s);
                return unit.Bus.TryReadMsr(unit.Processor, index, out value);
        }
    }

    /// <summary>Writes a register; false: #GP(0).</summary>
    public static bool TryWrite(CpuState* s, uint index, ulong value)
    {
        switch (index)
        {
            case 0x10: s->TscAdjust += value - SystemUnit.Of(s).ReadTsc(); return true;
            case 0x3B: s->TscAdjust = value; return true;
            case 0x79 or 0x8B: return true; // A microcode update is accepted and does nothing; its revision is asked for by writing zero.
            case 0x174: s->SysenterCs = (uint)value; return true;
            case 0x175: return SetCanonical(ref s->SysenterEsp, value);
            case 0x176: return SetCanonical(ref s->SysenterEip, value);
            case 0x17A: return SetMasked(ref s->MachineCheckStatus, value, 7);
            case 0x1A0: s->MiscEnable = (value & 1) | (MiscEnableDefault & ~1UL); return true;
            case 0x1D9: return SetMasked(ref s->DebugControl, value, 3); // LBR, BTF: kept, without effect
            case 0x277: return SetPat(s, value);
            case >= 0x200 and <= 0x2FF: return s->MemoryTypes.TryWrite(index, value);
            case TscDeadline: return SetDeadline(s, value);
            case 0xC0000080: return SetEfer(s, value);
            case 0xC0000081: s->Star = value; return true;
            case 0xC0000082: return SetCanonical(ref s->LStar, value);
            case 0xC0000083: return SetCanonical(ref s->CStar, value);
            case 0xC0000084: return SetMasked(ref s->SfMask, value, uint.MaxValue);
            case 0xC0000100: return SetCanonical(ref s->Segments[(int)SegmentIndex.Fs].Base, value);
            case 0xC0000101: return SetCanonical(ref s->Segments[(int)SegmentIndex.Gs].Base, value);
            case 0xC0000102: return SetCanonical(ref s->KernelGsBase, value);
            case 0xC0000103: return SetMasked(ref s->TscAux, value, uint.MaxValue);
            default:
                MemoryUnit unit = MemoryUnit.Of(s);
                return unit.Bus.TryWriteMsr(unit.Processor, index, value);
        }
    }

    private static bool SetCanonical(ref ulong register, ulong value)
    {
        if (!Canonical.Is(value))
        {
            return false;
        }

        register = value;
        return true;
    }

    private static bool SetMasked(ref ulong register, ulong value, ulong writable)
    {
        if ((value & ~writable) != 0)
        {
            return false;
        }

        register = value;
        return true;
    }

    /// <summary>The device compares with the counter before IA32_TSC_ADJUST; zero disarms and stays zero.</summary>
    private static bool SetDeadline(CpuState* s, ulong value)
    {
        MemoryUnit unit = MemoryUnit.Of(s);
        return unit.Bus.TryWriteMsr(unit.Processor, TscDeadline, value == 0 ? 0 : Math.Max(1, value - s->TscAdjust));
    }

    /// <summary>IA32_EFER: LMA cannot be written, LME not while paging is on (Intel SDM vol. 3, 2.2.1).</summary>
    private static bool SetEfer(CpuState* s, ulong value)
    {
        if ((value & ~(Efer.SCE | Efer.LME | Efer.LMA | Efer.NXE)) != 0 || (((value ^ s->Efer) & Efer.LME) != 0 && (s->Cr0 & Cr0.PG) != 0))
        {
            return false;
        }

        ulong efer = (value & ~Efer.LMA) | (s->Efer & Efer.LMA);
        bool flush = ((efer ^ s->Efer) & Efer.NXE) != 0;
        s->Efer = efer;
        if (flush)
        {
            Mmu.FlushAll(s);
            Mmu.UpdateMode(s);
        }

        return true;
    }

    /// <summary>IA32_PAT: eight types of UC, WC, WT, WP, WB, UC- (Intel SDM vol. 3, 13.12.2).</summary>
    private static bool SetPat(CpuState* s, ulong value)
    {
        for (int shift = 0; shift < 64; shift += 8)
        {
            if ((byte)(value >> shift) is not (0 or 1 or 4 or 5 or 6 or 7))
            {
                return false;
            }
        }

        s->Pat = value;
        return true;
    }
}
