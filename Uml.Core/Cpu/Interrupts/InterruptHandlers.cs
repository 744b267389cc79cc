using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interrupts;

/// <summary>INT n, INT3, INTO, INT1, BOUND, UD and HLT.</summary>
// SAFETY: handlers: the handler contract (Op). After a delivery op is not used again.
internal static unsafe class InterruptHandlers
{
    /// <summary>INT n; the immediate is the vector.</summary>
    public static Op* Int(CpuState* s, Op* op) => Deliver(s, op, (byte)op->Imm, InterruptKind.Software);

    /// <summary>INT3.</summary>
    public static Op* Int3(CpuState* s, Op* op) => Deliver(s, op, ExceptionVector.BP, InterruptKind.SoftwareException);

    /// <summary>INT1.</summary>
    public static Op* Int1(CpuState* s, Op* op) => Deliver(s, op, ExceptionVector.DB, InterruptKind.PrivilegedSoftware);

    /// <summary>INTO.</summary>
    public static Op* Into(CpuState* s, Op* op) =>
        Flags.Overflow(s) ? Deliver(s, op, ExceptionVector.OF, InterruptKind.SoftwareException) : op + 1;

    /// <summary>BOUND r16, m16&amp;16.</summary>
    public static Op* Bound16(CpuState* s, Op* op)
    {
        if (!LoadBounds(s, op, out short lower, out short upper))
        {
            return null;
        }

        short index = Operand.Reg<short>(s, op->R0);
        return index < lower || index > upper ? Raise.Exception(s, ExceptionVector.BR) : op + 1;
    }

    /// <summary>BOUND r32, m32&amp;32.</summary>
    public static Op* Bound32(CpuState* s, Op* op)
    {
        if (!LoadBounds(s, op, out int lower, out int upper))
        {
            return null;
        }

        int index = Operand.Reg<int>(s, op->R0);
        return index < lower || index > upper ? Raise.Exception(s, ExceptionVector.BR) : op + 1;
    }

    /// <summary>Two operands in a row, each aligned as itself. 64-bit mode has no BOUND: linear addresses have 32 bits.</summary>
    private static bool LoadBounds<T>(CpuState* s, Op* op, out T lower, out T upper) where T : unmanaged
    {
        lower = upper = default;
        return Operand.Linear(s, op, 2 * sizeof(T), write: false, out ulong linear)
            && Operand.LoadAt(s, linear, op->Segment, out lower)
            && Operand.LoadAt(s, (uint)(linear + (ulong)sizeof(T)), op->Segment, out upper);
    }

    /// <summary>HLT.</summary>
    public static Op* Halt(CpuState* s, Op* op)
    {
        if (s->Cpl != 0)
        {
            return Raise.GP(s);
        }

        s->Halted = true;
        s->Rip = Flow.Next(s, op);
        s->Engine->Exit = ExitCode.Halt;
        return null;
    }

    private static Op* Deliver(CpuState* s, Op* op, byte vector, InterruptKind kind)
    {
        s->Rip = Flow.Current(s, op);
        EventDelivery.Deliver(s, vector, hasError: false, 0, kind, Flow.Next(s, op));
        return null;
    }
}
