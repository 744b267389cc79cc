using System.Runtime.CompilerServices;
using Uml.Core.Cpu.Blocks;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Access;

/// <summary>
/// Counts the repetitions of REP instructions: each is an instruction of the budget, so that a repeated instruction, whose count the guest
/// chooses, takes no longer than the budget says. A count of zero is one instruction.
/// </summary>
/// <remarks>
/// Entering the block has counted the instruction once. An instruction that is suspended or faults takes that back by
/// <see cref="Flow.Unretire"/>, one that completes takes it back here.
/// </remarks>
// SAFETY: handlers: the handler contract (Op); only the budget is touched.
internal static unsafe class Repetitions
{
    /// <summary>Takes repetitions off the budget.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Retire(CpuState* s, long count) => s->Hot.Remaining -= count;

    /// <summary>Completes the instruction after one or more repetitions.</summary>
    /// <returns>The next operation.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Op* End(CpuState* s, Op* op)
    {
        s->Hot.Remaining++;
        return op + 1;
    }

    /// <summary>How many repetitions the budget allows, at least the one that entering the block has counted.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Room(CpuState* s) => (ulong)Math.Max(s->Hot.Remaining + s->Engine->Reserve + 1, 1);

    /// <summary>Whether the next repetition may follow at once: the poll word is not set, and there is budget left.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool MayGoOn(CpuState* s) => Volatile.Read(ref s->Engine->Poll) == 0 && s->Hot.Remaining + s->Engine->Reserve >= 0;
}
