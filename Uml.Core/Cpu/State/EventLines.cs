namespace Uml.Core.Cpu.State;

/// <summary>The pins that interrupts come in by.</summary>
// SAFETY: the caller's state is a processor's, whose memory the engine's part is in too.
internal static unsafe class EventLines
{
    /// <summary>Sets whether a non-maskable interrupt waits. Callable from any thread.</summary>
    public static void SetNmi(CpuState* s, bool pending)
    {
        Volatile.Write(ref s->NmiLine, pending ? 1 : 0);
        if (pending)
        {
            Interlocked.Or(ref s->Engine->Poll, (int)Attention.Nmi);
        }
    }

    /// <summary>Makes the engine look at the lines again: what they wait for may be there.</summary>
    public static void LookAgain(CpuState* s)
    {
        Attention lines = Volatile.Read(ref s->NmiLine) != 0 ? Attention.Nmi : Attention.None;
        lines |= Volatile.Read(ref s->Engine->InterruptLine) != 0 ? Attention.Interrupt : Attention.None;
        Interlocked.Or(ref s->Engine->Poll, (int)lines);
    }
}
