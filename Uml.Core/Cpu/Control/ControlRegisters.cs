using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Control;

/// <summary>CR0, CR2, CR3, CR4 and CR8: bits and the rules of changing them (Intel SDM vol. 3, 2.5 and 4.1.2).</summary>
// SAFETY: handlers: the handler contract (Op). A register's number selects a field by switch.
internal static unsafe class ControlRegisters
{
    private const ulong Cr0Writable = Cr0.PE | Cr0.MP | Cr0.EM | Cr0.TS | Cr0.NE | Cr0.WP | Cr0.AM | Cr0.NW | Cr0.CD | Cr0.PG;

    /// <summary>The CR4 bits whose features the CPU model offers; all others are reserved.</summary>
    private const ulong Cr4Writable = Cr4.TSD | Cr4.DE | Cr4.PSE | Cr4.PAE | Cr4.MCE | Cr4.PGE | Cr4.PCE | Cr4.OSFXSR
        | Cr4.OSXMMEXCPT | Cr4.UMIP | Cr4.FSGSBASE | Cr4.PCIDE | Cr4.OSXSAVE | Cr4.SMEP | Cr4.SMAP;

    private const ulong PhysicalMask = (1UL << PhysicalAddresses.Bits) - 1;

    /// <summary>What CR0 cannot hold whatever the rest of the processor is like.</summary>
    public static RegisterRefusal CheckCr0(ulong value) =>
        value >> 32 != 0 ? RegisterRefusal.ReservedBits
        : (value & (Cr0.PG | Cr0.PE)) == Cr0.PG || (value & (Cr0.NW | Cr0.CD)) == Cr0.NW ? RegisterRefusal.Combination
        : RegisterRefusal.None;

    /// <summary>CR0 as it is when a value has been written: reserved bits of the low half are ignored, and ET is always set.</summary>
    public static ulong HeldCr0(ulong value) => (value & Cr0Writable) | Cr0.ET;

    /// <summary>What CR3 cannot hold whatever the rest of the processor is like.</summary>
    public static RegisterRefusal CheckCr3(ulong value) => (value & ~PhysicalMask) != 0 ? RegisterRefusal.ReservedBits : RegisterRefusal.None;

    /// <summary>What CR4 cannot hold whatever the rest of the processor is like.</summary>
    public static RegisterRefusal CheckCr4(ulong value) => (value & ~Cr4Writable) != 0 ? RegisterRefusal.ReservedBits : RegisterRefusal.None;

    /// <summary>Writes CR0; records #GP(0) for combinations that are not allowed.</summary>
    public static bool SetCr0(CpuState* s, ulong value)
    {
        ulong old = s->Cr0;
        ulong cr0 = HeldCr0(value);
        if (CheckCr0(value) != RegisterRefusal.None)
        {
            return Fault.FailGP(s);
        }

        ulong efer = s->Efer;
        if ((cr0 & ~old & Cr0.PG) != 0)
        {
            if (!MayEnablePaging(s))
            {
                return false;
            }

            efer |= (efer & Efer.LME) != 0 ? Efer.LMA : 0;
        }
        else if ((old & ~cr0 & Cr0.PG) != 0)
        {
            // Paging cannot be switched off in 64-bit mode, nor with PCIDs (vol. 3, 4.1.2).
            if ((s->Mode & CpuMode.Long64) != 0 || (s->Cr4 & Cr4.PCIDE) != 0)
            {
                return Fault.FailGP(s);
            }

            efer &= ~Efer.LMA;
        }

        s->Cr0 = cr0;
        s->Efer = efer;
        if (((cr0 ^ old) & (Cr0.PG | Cr0.WP | Cr0.PE)) != 0)
        {
            Mmu.FlushAll(s);
        }

        Mmu.UpdateMode(s);
        return true;
    }

    private static bool MayEnablePaging(CpuState* s)
    {
        if ((s->Efer & Efer.LME) == 0)
        {
            return (s->Cr4 & Cr4.PAE) == 0 || CheckDirectoryPointers(s, s->Cr3);
        }

        // IA-32e mode begins as compatibility mode, with PAE tables and a 32-bit TSS if any (vol. 3, 10.8.5).
        bool codeIsLong = (s->Segments[(int)SegmentIndex.Cs].Attributes & SegmentRegister.L) != 0;
        ref SegmentRegister tr = ref s->Segments[(int)SegmentIndex.Tr];
        bool taskIs16 = tr.IsUsable && (tr.Attributes & 8) == 0;
        return ((s->Cr4 & Cr4.PAE) != 0 && !codeIsLong && !taskIs16) || Fault.FailGP(s);
    }

    /// <summary>Writes CR3; records #GP(0) for reserved bits.</summary>
    public static bool SetCr3(CpuState* s, ulong value)
    {
        bool pcid = (s->Cr4 & Cr4.PCIDE) != 0;
        bool keep = pcid && (value & Cr3.NoFlush) != 0;
        ulong cr3 = pcid ? value & ~Cr3.NoFlush : value;
        if ((s->Mode & CpuMode.LongActive) != 0)
        {
            if (CheckCr3(cr3) != RegisterRefusal.None)
            {
                return Fault.FailGP(s);
            }
        }
        else if ((s->Cr0 & Cr0.PG) != 0 && (s->Cr4 & Cr4.PAE) != 0 && !CheckDirectoryPointers(s, cr3))
        {
            return false;
        }

        s->Cr3 = cr3;
        Mmu.SwitchAddressSpace(s, keep);
        return true;
    }

    /// <summary>Writes CR4; records #GP(0) for reserved bits and combinations that are not allowed.</summary>
    public static bool SetCr4(CpuState* s, ulong value)
    {
        const ulong paging = Cr4.PSE | Cr4.PAE | Cr4.PGE | Cr4.PCIDE | Cr4.SMEP | Cr4.SMAP;
        ulong changed = value ^ s->Cr4;
        bool isLong = (s->Mode & CpuMode.LongActive) != 0;
        if (CheckCr4(value) != RegisterRefusal.None || (isLong && (value & Cr4.PAE) == 0))
        {
            return Fault.FailGP(s);
        }

        // PCIDs begin in IA-32e mode with PCID 0 current (vol. 3, 4.10.1).
        if ((changed & value & Cr4.PCIDE) != 0 && (!isLong || (s->Cr3 & Cr3.Pcid) != 0))
        {
            return Fault.FailGP(s);
        }

        bool reloads = !isLong && (s->Cr0 & Cr0.PG) != 0 && (value & Cr4.PAE) != 0 && (changed & (Cr4.PAE | Cr4.PSE | Cr4.PGE | Cr4.SMEP)) != 0;
        if (reloads && !CheckDirectoryPointers(s, s->Cr3))
        {
            return false;
        }

        if ((changed & Cr4.TSD) != 0)
        {
            SystemUnit.Of(s).StopTimeStamps();
        }

        s->Cr4 = value;
        if ((changed & paging) != 0)
        {
            Mmu.FlushAll(s);
        }

        Mmu.SwitchAddressSpace(s, keep: true);
        return true;
    }

    /// <summary>
    /// PAE paging loads four page-directory pointers whenever CR3 is loaded; reserved bits in one that is present fault then
    /// (vol. 3, 4.4.1).
    /// </summary>
    private static bool CheckDirectoryPointers(CpuState* s, ulong cr3)
    {
        const ulong reserved = 0x1E6 | ~PhysicalMask;
        for (uint i = 0; i < 4; i++)
        {
            // SAFETY: the 32-byte aligned table does not cross a page, so all of an entry is RAM when its first byte is.
            var entry = (ulong*)PageWalk.Host(s, (cr3 & 0xFFFF_FFE0) + (i * 8));
            if (entry != null && (*entry & PageWalk.P) != 0 && (*entry & reserved) != 0)
            {
                return Fault.FailGP(s);
            }
        }

        return true;
    }

    /// <summary>MOV r, CRn: R0 is the register, R1 the number.</summary>
    public static Op* Read<T>(CpuState* s, Op* op) where T : unmanaged
    {
        if (s->Cpl != 0)
        {
            return Raise.GP(s);
        }

        ulong value;
        switch (op->R1)
        {
            case 0: value = s->Cr0; break;
            case 2: value = s->Cr2; break;
            case 3: value = s->Cr3; break;
            case 4: value = s->Cr4; break;
            case 8: value = SystemUnit.Of(s).TaskPriority; break;
            default: return Raise.UD(s);
        }

        Operand.Set<T>(s, op->R0, value);
        return op + 1;
    }

    /// <summary>MOV CRn, r: R0 is the number, R1 the register.</summary>
    public static Op* Write<T>(CpuState* s, Op* op) where T : unmanaged
    {
        if (s->Cpl != 0)
        {
            return Raise.GP(s);
        }

        ulong value = Operand.Get<T>(s, op->R1);
        bool done;
        switch (op->R0)
        {
            case 0:
                done = SetCr0(s, value);
                break;
            case 2:
                s->Cr2 = value;
                return op + 1;
            case 3:
                done = SetCr3(s, value);
                break;
            case 4:
                done = SetCr4(s, value);
                break;
            case 8:
                done = SetTaskPriority(s, value);
                break;
            default:
                return Raise.UD(s);
        }

        return done ? BlockExit.Behind(s, op) : null;
    }

    private static bool SetTaskPriority(CpuState* s, ulong value)
    {
        if (value > 15)
        {
            return Fault.FailGP(s);
        }

        SystemUnit.Of(s).TaskPriority = (byte)value;
        return true;
    }

    /// <summary>CLTS.</summary>
    public static Op* ClearTaskSwitched(CpuState* s, Op* op)
    {
        if (s->Cpl != 0)
        {
            return Raise.GP(s);
        }

        CpuMode before = s->Mode;
        s->Cr0 &= ~Cr0.TS;
        Mmu.UpdateMode(s);
        return BlockExit.NextOrBehind(s, op, before);
    }

    /// <summary>LMSW r16.</summary>
    public static Op* LoadMachineStatusRegister(CpuState* s, Op* op) =>
        s->Cpl != 0 ? Raise.GP(s) : LoadMachineStatus(s, op, Operand.Reg<ushort>(s, op->R0));

    /// <summary>LMSW m16.</summary>
    public static Op* LoadMachineStatusMemory(CpuState* s, Op* op)
    {
        if (s->Cpl != 0)
        {
            return Raise.GP(s);
        }

        return Operand.Load(s, op, out ushort value) ? LoadMachineStatus(s, op, value) : null;
    }

    /// <summary>Loads PE, MP, EM, TS; PE can be set only.</summary>
    private static Op* LoadMachineStatus(CpuState* s, Op* op, ushort value)
    {
        const ulong loaded = Cr0.MP | Cr0.EM | Cr0.TS;
        return SetCr0(s, (s->Cr0 & ~loaded) | (value & (loaded | Cr0.PE))) ? BlockExit.Behind(s, op) : null;
    }

    /// <summary>INVLPG: an address that is not canonical is ignored, a segment's limit too.</summary>
    public static Op* InvalidatePage(CpuState* s, Op* op)
    {
        if (s->Cpl != 0)
        {
            return Raise.GP(s);
        }

        ulong linear = Operand.Effective(s, op);
        if ((op->Address & AddressFlags.SegmentBase) != 0)
        {
            linear += s->Segments[(int)op->Segment].Base;
        }

        Mmu.InvalidatePage(s, (s->Mode & CpuMode.Long64) != 0 ? linear : (uint)linear);
        return BlockExit.Behind(s, op);
    }

    /// <summary>INVPCID: R0 holds the type, memory the descriptor (Intel SDM vol. 2, INVPCID).</summary>
    public static Op* InvalidatePcid<T>(CpuState* s, Op* op) where T : unmanaged
    {
        if (s->Cpl != 0)
        {
            return Raise.GP(s);
        }

        if (!Operand.Linear(s, op, 16, write: false, out ulong linear)
            || !Operand.LoadAt(s, linear, op->Segment, out ulong pcid)
            || !Operand.LoadAt(s, (s->Mode & CpuMode.Long64) != 0 ? linear + 8 : (uint)(linear + 8), op->Segment, out ulong address))
        {
            return null;
        }

        ulong type = Operand.Get<T>(s, op->R0);
        bool needsPcid = type < 2 && (s->Cr4 & Cr4.PCIDE) == 0 && pcid != 0;
        if (type > 3 || (pcid & ~Cr3.Pcid) != 0 || needsPcid || (type == 0 && !Canonical.Is(address)))
        {
            return Raise.GP(s);
        }

        switch (type)
        {
            case 0:
                Mmu.InvalidatePcidPage(s, (uint)pcid, address);
                break;
            case 1:
                Mmu.InvalidatePcid(s, (uint)pcid);
                break;
            default:
                // Type 3 may keep global translations; dropping them is allowed.
                Mmu.FlushAll(s);
                break;
        }

        return BlockExit.Behind(s, op);
    }
}
