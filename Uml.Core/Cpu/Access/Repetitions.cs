using System.Runtime.CompilerServices;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Access;

/// <summary>
/// Counts the repetitions of REP instructions: each is an instruction of the budget, so that a repeated instruction, whose count the guest
/// chooses, takes no longer than the budget says. A count of zero is one instruction.
/// </summary>
/// <remarks>
/// The block that runs has counted the instruction once, on entry. What does not complete (a suspension, a fault) gives that back (see
/// <see cref="Flow.Unretire"/>), what completes does so here.
/// </remarks>
// SAFETY: handlers: the handler contract (Op); only the budget is touched.
internal static unsafe class Repetitions
{
    /// <summary>Repetitions were done.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Retire(CpuState* s, long count) => s->Engine->Remaining -= count;

    /// <summary>The instruction is complete after one repetition at least.</summary>
    /// <returns>The next operation.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Op* End(CpuState* s, Op* op)
    {
        s->Engine->Remaining++;
        return op + 1;
    }

    /// <summary>How many repetitions the budget has room for, one at least: that of the instruction itself, which the block has counted.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Room(CpuState* s) => (ulong)Math.Max(s->Engine->Remaining + s->Engine->Reserve + 1, 1);

    /// <summary>After a repetition, whether the next may follow at once: nothing waits, and there is budget left.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool MayGoOn(CpuState* s) => Volatile.Read(ref s->Engine->Poll) == 0 && s->Engine->Remaining + s->Engine->Reserve >= 0;
}
