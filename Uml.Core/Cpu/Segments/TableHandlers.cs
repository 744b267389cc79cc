using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Segments;

/// <summary>LGDT, LIDT, LLDT, LTR and the instructions that store those registers; SMSW and LMSW.</summary>
// SAFETY: handlers: the handler contract (Op). R1 of SLDT and STR is a SegmentIndex from the binder; the inline array checks it.
internal static unsafe class TableHandlers
{
    /// <summary>LGDT; R2 is the number of base bits: 24, 32 or 64.</summary>
    public static Op* LoadGdt(CpuState* s, Op* op)
    {
        if (!ReadTable(s, op, out ushort limit, out ulong address))
        {
            return null;
        }

        s->GdtLimit = limit;
        s->GdtBase = address;
        return op + 1;
    }

    /// <summary>LIDT; R2 as in <see cref="LoadGdt"/>.</summary>
    public static Op* LoadIdt(CpuState* s, Op* op)
    {
        if (!ReadTable(s, op, out ushort limit, out ulong address))
        {
            return null;
        }

        s->IdtLimit = limit;
        s->IdtBase = address;
        return op + 1;
    }

    private static bool ReadTable(CpuState* s, Op* op, out ushort limit, out ulong address)
    {
        limit = 0;
        address = 0;
        if (s->Cpl != 0)
        {
            return Fault.FailGP(s);
        }

        bool is64 = op->R2 == 64;
        if (!Operand.Linear(s, op, is64 ? 10 : 6, write: false, out ulong linear) || !Operand.LoadAt(s, linear, op->Segment, out limit))
        {
            return false;
        }

        if (is64)
        {
            return Operand.LoadAt(s, linear + 2, op->Segment, out address) && (Canonical.Is(address) || Fault.FailGP(s));
        }

        bool ok = Operand.LoadAt(s, (uint)(linear + 2), op->Segment, out uint low);
        address = op->R2 == 24 ? low & 0xFFFFFF : low;
        return ok;
    }

    /// <summary>SGDT; R2 as in <see cref="LoadGdt"/>.</summary>
    public static Op* StoreGdt(CpuState* s, Op* op) => StoreTable(s, op, s->GdtLimit, s->GdtBase);

    /// <summary>SIDT; R2 as in <see cref="LoadGdt"/>.</summary>
    public static Op* StoreIdt(CpuState* s, Op* op) => StoreTable(s, op, s->IdtLimit, s->IdtBase);

    private static Op* StoreTable(CpuState* s, Op* op, ushort limit, ulong address)
    {
        if (IsPrevented(s))
        {
            return Raise.GP(s);
        }

        bool is64 = op->R2 == 64;
        if (!Operand.Linear(s, op, is64 ? 10 : 6, write: true, out ulong linear) || !Operand.StoreAt(s, linear, op->Segment, limit))
        {
            return null;
        }

        // With a 16-bit operand size too, processors since the 386 store all 32 base bits.
        bool stored = is64
            ? Operand.StoreAt(s, linear + 2, op->Segment, address)
            : Operand.StoreAt(s, (uint)(linear + 2), op->Segment, (uint)address);
        return stored ? op + 1 : null;
    }

    /// <summary>LLDT r16.</summary>
    public static Op* LoadLdtRegister(CpuState* s, Op* op) => LoadLdt(s, op, Operand.Reg<ushort>(s, op->R0));

    /// <summary>LLDT m16.</summary>
    public static Op* LoadLdtMemory(CpuState* s, Op* op)
    {
        if (Segmentation.IsRealStyle(s))
        {
            return Raise.UD(s);
        }

        // Privilege comes before the operand's page faults.
        return s->Cpl != 0 ? Raise.GP(s) : Operand.Load(s, op, out ushort selector) ? LoadLdt(s, op, selector) : null;
    }

    private static Op* LoadLdt(CpuState* s, Op* op, ushort selector)
    {
        if (Segmentation.IsRealStyle(s))
        {
            return Raise.UD(s);
        }

        if (s->Cpl != 0)
        {
            return Raise.GP(s);
        }

        if (DescriptorTables.IsNull(selector))
        {
            s->Segments[(int)SegmentIndex.Ldtr] = new SegmentRegister { Selector = selector };
            return op + 1;
        }

        if (!ReadSystemSegment(s, selector, out Descriptor descriptor, out ulong high, SystemType.Ldt, SystemType.Ldt))
        {
            return null;
        }

        SegmentRegister segment = descriptor.ToSegment(selector);
        segment.Base |= high;
        s->Segments[(int)SegmentIndex.Ldtr] = segment;
        return op + 1;
    }

    /// <summary>LTR r16.</summary>
    public static Op* LoadTaskRegister(CpuState* s, Op* op) => LoadTask(s, op, Operand.Reg<ushort>(s, op->R0));

    /// <summary>LTR m16.</summary>
    public static Op* LoadTaskMemory(CpuState* s, Op* op)
    {
        if (Segmentation.IsRealStyle(s))
        {
            return Raise.UD(s);
        }

        return s->Cpl != 0 ? Raise.GP(s) : Operand.Load(s, op, out ushort selector) ? LoadTask(s, op, selector) : null;
    }

    private static Op* LoadTask(CpuState* s, Op* op, ushort selector)
    {
        if (Segmentation.IsRealStyle(s))
        {
            return Raise.UD(s);
        }

        if (s->Cpl != 0 || DescriptorTables.IsNull(selector))
        {
            return Raise.GP(s);
        }

        bool isLong = (s->Mode & CpuMode.LongActive) != 0;
        int otherType = isLong ? SystemType.Tss : SystemType.Tss16;
        if (!ReadSystemSegment(s, selector, out Descriptor descriptor, out ulong high, SystemType.Tss, otherType)
            || !DescriptorTables.MarkBusy(s, selector, ref descriptor))
        {
            return null;
        }

        SegmentRegister segment = descriptor.ToSegment(selector);
        segment.Base |= high;
        s->Segments[(int)SegmentIndex.Tr] = segment;
        return op + 1;
    }

    /// <summary>
    /// Reads the GDT entry of an LDT or TSS: 16 bytes in IA-32e mode. <paramref name="high"/> is ready to be merged into the base.
    /// </summary>
    private static bool ReadSystemSegment(CpuState* s, ushort selector, out Descriptor descriptor, out ulong high, int type, int otherType)
    {
        descriptor = default;
        high = 0;
        uint error = DescriptorTables.Error(selector);
        if ((selector & 4) != 0)
        {
            return Fault.FailGP(s, error);
        }

        if (!DescriptorTables.Read(s, selector, out descriptor))
        {
            return false;
        }

        if (!descriptor.IsSystem || (descriptor.Type != type && descriptor.Type != otherType))
        {
            return Fault.FailGP(s, error);
        }

        if (!descriptor.IsPresent)
        {
            return Fault.Fail(s, ExceptionVector.NP, error);
        }

        if ((s->Mode & CpuMode.LongActive) == 0)
        {
            return true;
        }

        if (!DescriptorTables.ReadHigh(s, selector, out ulong upper))
        {
            return false;
        }

        high = upper << 32;
        return Canonical.Is(high | descriptor.Base) || Fault.FailGP(s, error);
    }

    /// <summary>SLDT and STR to a register; R1 is the segment's number.</summary>
    public static Op* StoreSystemRegister(CpuState* s, Op* op)
    {
        if (!MayStore(s))
        {
            return null;
        }

        return Result(s, op, s->Segments[op->R1].Selector);
    }

    /// <summary>SLDT and STR to memory; R1 is the segment's number.</summary>
    public static Op* StoreSystemMemory(CpuState* s, Op* op) =>
        MayStore(s) && Operand.Store(s, op, s->Segments[op->R1].Selector) ? op + 1 : null;

    private static bool MayStore(CpuState* s)
    {
        if (Segmentation.IsRealStyle(s))
        {
            Raise.UD(s);
            return false;
        }

        return !IsPrevented(s) || Fault.FailGP(s);
    }

    /// <summary>SMSW to a register.</summary>
    public static Op* StoreMachineStatusRegister(CpuState* s, Op* op) => IsPrevented(s) ? Raise.GP(s) : Result(s, op, s->Cr0);

    /// <summary>SMSW to memory: 16 bits always.</summary>
    public static Op* StoreMachineStatusMemory(CpuState* s, Op* op)
    {
        if (IsPrevented(s))
        {
            return Raise.GP(s);
        }

        return Operand.Store(s, op, (ushort)s->Cr0) ? op + 1 : null;
    }

    /// <summary>Writes a general register as wide as R2 says, in bits.</summary>
    private static Op* Result(CpuState* s, Op* op, ulong value)
    {
        switch (op->R2)
        {
            case 16:
                Operand.SetReg(s, op->R0, (ushort)value);
                break;
            case 32:
                Operand.SetReg(s, op->R0, (uint)value);
                break;
            default:
                Operand.SetReg(s, op->R0, value);
                break;
        }

        return op + 1;
    }

    /// <summary>CR4.UMIP keeps SGDT, SIDT, SLDT, STR and SMSW to CPL 0.</summary>
    private static bool IsPrevented(CpuState* s) => s->Cpl != 0 && (s->Cr4 & Cr4.UMIP) != 0;
}
