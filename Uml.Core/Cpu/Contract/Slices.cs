using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Contract;

/// <summary>
/// Translated code has one thing to look at between blocks, <see cref="EngineState.Remaining"/>. So it is given the budget in slices: when one
/// is used up it looks at <see cref="EngineState.Poll"/> and takes the next (see <c>RuntimeStubs.Refill</c>). Attention that is asked for
/// by what runs on the processor's own thread ends the slice, so that it is paid at the very next block, as in the interpreter.
/// </summary>
// SAFETY: s is a live processor's state; only the budget is touched, on the thread that runs it.
internal static unsafe class Slices
{
    /// <summary>Instructions: some 10 us. What another thread asks for is seen that much later.</summary>
    public const int Length = 1 << 15;

    /// <summary>Before translated code runs.</summary>
    public static void Split(CpuState* s)
    {
        long slice = Volatile.Read(ref s->Engine->Poll) != 0 ? 0 : Math.Min(s->Engine->Remaining, Length);
        s->Engine->Reserve = s->Engine->Remaining - slice;
        s->Engine->Remaining = slice;
    }

    /// <summary>After it ran: the budget is whole again.</summary>
    public static void Join(CpuState* s)
    {
        s->Engine->Remaining += s->Engine->Reserve;
        s->Engine->Reserve = 0;
    }
}
