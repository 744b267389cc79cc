using Uml.Core.Cpu.Execute;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Contract;

/// <summary>
/// Translated code has one thing to look at between blocks, <see cref="CpuState.Remaining"/>. So it is given the budget in slices: when one
/// is used up it looks at <see cref="CpuState.Poll"/> and takes the next (see <see cref="RuntimeStubs.Refill"/>). Attention that is asked for
/// by what runs on the processor's own thread ends the slice, so that it is paid at the very next block, as in the interpreter.
/// </summary>
internal static unsafe class Slices
{
    /// <summary>Instructions: some 10 us. What another thread asks for is seen that much later.</summary>
    public const int Length = 1 << 15;

    /// <summary>Before translated code runs.</summary>
    public static void Split(CpuState* s)
    {
        long slice = Volatile.Read(ref s->Poll) != 0 ? 0 : Math.Min(s->Remaining, Length);
        s->Reserve = s->Remaining - slice;
        s->Remaining = slice;
    }

    /// <summary>After it ran: the budget is whole again.</summary>
    public static void Join(CpuState* s)
    {
        s->Remaining += s->Reserve;
        s->Reserve = 0;
    }
}
