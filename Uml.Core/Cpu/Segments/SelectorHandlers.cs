using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Segments;

/// <summary>LAR, LSL, VERR, VERW, ARPL: checks of selectors, with the result in ZF (Intel SDM vol. 3, 5.10).</summary>
// SAFETY: handlers: the handler contract (Op). Selectors are the guest's: DescriptorTables checks them against the table's limit and reads
// guest memory.
internal static unsafe class SelectorHandlers
{
    // System descriptor types each instruction answers for (Intel SDM vol. 2, tables 3-51 and 3-55), a bit a type.
    private const int LarLegacy = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 9 | 1 << 11 | 1 << 12;
    private const int LarLong = 1 << 2 | 1 << 9 | 1 << 11 | 1 << 12;
    private const int LslLegacy = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 9 | 1 << 11;
    private const int LslLong = 1 << 2 | 1 << 9 | 1 << 11;

    /// <summary>LAR r, r.</summary>
    public static Op* AccessRightsRegister<T>(CpuState* s, Op* op) where T : unmanaged =>
        AccessRights<T>(s, op, Operand.Reg<ushort>(s, op->R1));

    /// <summary>LAR r, m16.</summary>
    public static Op* AccessRightsMemory<T>(CpuState* s, Op* op) where T : unmanaged =>
        LoadSelector(s, op, out ushort selector) ? AccessRights<T>(s, op, selector) : null;

    private static Op* AccessRights<T>(CpuState* s, Op* op, ushort selector) where T : unmanaged
    {
        if (!TryRead(s, selector, IsLong(s) ? LarLong : LarLegacy, out Descriptor descriptor, out bool visible))
        {
            return null;
        }

        if (visible)
        {
            Operand.SetReg(s, op->R0, Operand.Narrow<T>((descriptor.Low >> 32) & 0x00FFFF00)); // bits 16 to 19 are undefined
        }

        return Answer(s, op, visible);
    }

    /// <summary>LSL r, r.</summary>
    public static Op* LimitRegister<T>(CpuState* s, Op* op) where T : unmanaged =>
        Limit<T>(s, op, Operand.Reg<ushort>(s, op->R1));

    /// <summary>LSL r, m16.</summary>
    public static Op* LimitMemory<T>(CpuState* s, Op* op) where T : unmanaged =>
        LoadSelector(s, op, out ushort selector) ? Limit<T>(s, op, selector) : null;

    private static Op* Limit<T>(CpuState* s, Op* op, ushort selector) where T : unmanaged
    {
        if (!TryRead(s, selector, IsLong(s) ? LslLong : LslLegacy, out Descriptor descriptor, out bool visible))
        {
            return null;
        }

        if (visible)
        {
            Operand.SetReg(s, op->R0, Operand.Narrow<T>(descriptor.Limit));
        }

        return Answer(s, op, visible);
    }

    /// <summary>VERR r16, VERW r16; the immediate is non-zero for VERW.</summary>
    public static Op* VerifyRegister(CpuState* s, Op* op) => Verify(s, op, Operand.Reg<ushort>(s, op->R0));

    /// <summary>VERR m16, VERW m16.</summary>
    public static Op* VerifyMemory(CpuState* s, Op* op) => LoadSelector(s, op, out ushort selector) ? Verify(s, op, selector) : null;

    private static Op* Verify(CpuState* s, Op* op, ushort selector)
    {
        if (!TryRead(s, selector, 0, out Descriptor descriptor, out bool visible))
        {
            return null;
        }

        return Answer(s, op, visible && (op->Imm != 0 ? descriptor.IsWritableData : descriptor.IsReadable));
    }

    /// <summary>ARPL r16, r16: raises the RPL of the first operand to that of the second.</summary>
    public static Op* AdjustRplRegister(CpuState* s, Op* op)
    {
        if (Segmentation.IsRealStyle(s))
        {
            return Raise.UD(s);
        }

        ushort target = Operand.Reg<ushort>(s, op->R0);
        bool lower = RaiseRpl(ref target, Operand.Reg<ushort>(s, op->R1));
        Operand.SetReg(s, op->R0, target);
        return Answer(s, op, lower);
    }

    /// <summary>ARPL m16, r16.</summary>
    public static Op* AdjustRplMemory(CpuState* s, Op* op)
    {
        if (Segmentation.IsRealStyle(s))
        {
            return Raise.UD(s);
        }

        if (!Operand.Load(s, op, out ushort target))
        {
            return null;
        }

        // Written only when it changes: a read-only operand that is high enough already does not fault.
        bool lower = RaiseRpl(ref target, Operand.Reg<ushort>(s, op->R1));
        return lower && !Operand.Store(s, op, target) ? null : Answer(s, op, lower);
    }

    private static bool RaiseRpl(ref ushort target, ushort source)
    {
        if ((target & 3) >= (source & 3))
        {
            return false;
        }

        target = (ushort)((target & ~3) | (source & 3));
        return true;
    }

    private static bool LoadSelector(CpuState* s, Op* op, out ushort selector)
    {
        selector = 0;
        if (Segmentation.IsRealStyle(s))
        {
            Raise.UD(s);
            return false;
        }

        return Operand.Load(s, op, out selector);
    }

    /// <summary>Reads a descriptor without the faults of loading it; false only when reading the table itself faults.</summary>
    private static bool TryRead(CpuState* s, ushort selector, int systemTypes, out Descriptor descriptor, out bool visible)
    {
        descriptor = default;
        visible = false;
        if (Segmentation.IsRealStyle(s))
        {
            Raise.UD(s);
            return false;
        }

        if (DescriptorTables.IsNull(selector) || !DescriptorTables.Contains(s, selector))
        {
            return true;
        }

        if (!DescriptorTables.Read(s, selector, out descriptor))
        {
            return false;
        }

        bool typeFits = !descriptor.IsSystem || ((systemTypes >> descriptor.Type) & 1) != 0;
        int privilege = Math.Max(s->Cpl, selector & 3);
        visible = typeFits && (descriptor.IsConformingCode || descriptor.Dpl >= privilege);
        return true;
    }

    private static bool IsLong(CpuState* s) => (s->Mode & CpuMode.LongActive) != 0;

    private static Op* Answer(CpuState* s, Op* op, bool zero)
    {
        uint status = Flags.GetStatus(s) & ~Flags.ZF;
        Flags.SetStatus(s, zero ? status | Flags.ZF : status);
        return op + 1;
    }
}
