using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Contract;

/// <summary>
/// Translated code checks one word between blocks, <see cref="HotWords.Remaining"/>. So it gets the budget in slices: when one is used
/// up, it polls <see cref="EngineState.Poll"/> and takes the next (see <c>RuntimeStubs.Refill</c>). A request made on the processor's own
/// thread ends the slice, so that it is served at the next block boundary, as in the interpreter.
/// </summary>
// SAFETY: s is a live processor's state; only the budget is touched, on the thread that runs it.
internal static unsafe class Slices
{
    /// <summary>Instructions, some 10 us: the latency of requests from other threads.</summary>
    public const int Length = 1 << 15;

    /// <summary>Splits a slice off the budget, before translated code runs.</summary>
    public static void Split(CpuState* s)
    {
        long slice = Volatile.Read(ref s->Engine->Poll) != 0 ? 0 : Math.Min(s->Hot.Remaining, Length);
        s->Engine->Reserve = s->Hot.Remaining - slice;
        s->Hot.Remaining = slice;
    }

    /// <summary>Adds the rest of the budget back, after it ran.</summary>
    public static void Join(CpuState* s)
    {
        s->Hot.Remaining += s->Engine->Reserve;
        s->Engine->Reserve = 0;
    }
}
