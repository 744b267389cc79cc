using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Control;

/// <summary>MOV to and from debug registers (Intel SDM vol. 3, 18.2).</summary>
// SAFETY: handlers: the handler contract (Op). A register's number is checked to be at most 7, and selects a field by switch.
internal static unsafe class DebugRegisters
{
    /// <summary>MOV r, DRn: R0 is the register, R1 the number.</summary>
    public static Op* Read<T>(CpuState* s, Op* op) where T : unmanaged
    {
        if (!MayAccess(s, op->R1, out int number))
        {
            return null;
        }

        ulong value = number switch { 0 => s->Dr0, 1 => s->Dr1, 2 => s->Dr2, 3 => s->Dr3, 6 => s->Dr6, _ => s->Dr7 };
        Operand.Set<T>(s, op->R0, value);
        return op + 1;
    }

    /// <summary>MOV DRn, r: R0 is the number, R1 the register.</summary>
    public static Op* Write<T>(CpuState* s, Op* op) where T : unmanaged
    {
        if (!MayAccess(s, op->R0, out int number))
        {
            return null;
        }

        ulong value = Operand.Get<T>(s, op->R1);
        switch (number)
        {
            case 0: s->Dr0 = value; break;
            case 1: s->Dr1 = value; break;
            case 2: s->Dr2 = value; break;
            case 3: s->Dr3 = value; break;
            default:
                if (DebugState.CheckControl(value) != RegisterRefusal.None)
                {
                    return Raise.GP(s);
                }

                return SetControl(s, op, number, value);
        }

        return op + 1;
    }

    private static Op* SetControl(CpuState* s, Op* op, int number, ulong value)
    {
        if (number == 6)
        {
            s->Dr6 = DebugState.HeldDr6(value);
            return op + 1;
        }

        s->Dr7 = DebugState.HeldDr7(value);
        Mmu.UpdateMode(s);
        DebugState.RefreshStepping(s);
        return BlockExit.Behind(s, op);
    }

    /// <summary>Privilege, DR4 and DR5 (DR6 and DR7 unless CR4.DE), and general detection.</summary>
    private static bool MayAccess(CpuState* s, int named, out int number)
    {
        number = named;
        if (named > 7)
        {
            Raise.UD(s);
            return false;
        }

        if (s->Cpl != 0)
        {
            return Fault.FailGP(s);
        }

        if (named is 4 or 5)
        {
            if ((s->Cr4 & Cr4.DE) != 0)
            {
                Raise.UD(s);
                return false;
            }

            number += 2;
        }

        if ((s->Dr7 & DebugState.GD) != 0)
        {
            s->Dr6 |= DebugState.BD;
            Raise.Exception(s, ExceptionVector.DB);
            return false;
        }

        return true;
    }
}
