using Uml.Core.Cpu.Access;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Interpreter.Integer;

/// <summary>Direct jumps, and LOOP, JRCXZ by address size.</summary>
// SAFETY: handlers: the handler contract (Op). RCX by a constant offset.
internal static unsafe class JumpHandlers
{
    public static Op* Direct(CpuState* s, Op* op) => Flow.Follow(s, op);
}

/// <summary>LOOP, LOOPE, LOOPNE, JCXZ with a counter of one width.</summary>
internal static unsafe class LoopHandlers<T>
    where T : unmanaged
{
    private const ushort Rcx = CpuState.GprStart + 8;

    public static Op* Loop(CpuState* s, Op* op) => Flow.Follow(s, CountDown(s) ? op : op + 1);

    public static Op* LoopE(CpuState* s, Op* op) => Flow.Follow(s, CountDown(s) & Flags.Zero(s) ? op : op + 1);

    public static Op* LoopNe(CpuState* s, Op* op) => Flow.Follow(s, CountDown(s) & !Flags.Zero(s) ? op : op + 1);

    public static Op* JumpIfZero(CpuState* s, Op* op) => Flow.Follow(s, Operand.Get<T>(s, Rcx) == 0 ? op : op + 1);

    private static bool CountDown(CpuState* s)
    {
        ulong count = Operand.Widen(Operand.Narrow<T>(Operand.Get<T>(s, Rcx) - 1));
        Operand.Set<T>(s, Rcx, count);
        return count != 0;
    }
}
