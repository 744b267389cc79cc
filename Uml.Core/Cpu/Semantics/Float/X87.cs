using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Semantics.Float;

/// <summary>
/// The x87 instructions on register state (SDM vol. 1, chapter 8). Values from and to memory are arguments and results; a store
/// returns false when its exception is unmasked, and nothing is then written or popped.
/// </summary>
/// <remarks>
/// The caller raises #MF from <see cref="X87State.HasPendingException"/> before a waiting instruction, checks CR0.EM and TS, and
/// records FOP, FIP and FDP.
/// </remarks>
internal static partial class X87
{
    public const ushort StackFault = 0x0040;
    public const ushort ErrorSummary = 0x0080;
    public const ushort C0 = 0x0100;
    public const ushort C1 = 0x0200;
    public const ushort C2 = 0x0400;
    public const ushort C3 = 0x4000;
    public const ushort Busy = 0x8000;

    private const ushort Conditions = C0 | C1 | C2 | C3;

    /// <summary>ORs exceptions into the status word and keeps ES and B consistent.</summary>
    internal static void Raise(ref X87State state, int flags)
    {
        state.StatusWord |= (ushort)flags;
        UpdateSummary(ref state);
    }

    /// <summary>ES and B follow from the flags and their masks (SDM vol. 1, 8.1.3.3).</summary>
    internal static void UpdateSummary(ref X87State state)
    {
        bool pending = (state.StatusWord & ~state.ControlWord & FloatFlags.All) != 0;
        state.StatusWord = (ushort)(pending
            ? state.StatusWord | ErrorSummary | Busy
            : state.StatusWord & ~(ErrorSummary | Busy));
    }

    /// <summary>Stack overflow (C1 = 1) or underflow (C1 = 0); true if the masked response applies (SDM vol. 1, 8.5.1.1).</summary>
    private static bool RaiseStackFault(ref X87State state, bool overflow)
    {
        SetConditions(ref state, overflow ? C1 : 0, C1);
        Raise(ref state, FloatFlags.Invalid | StackFault);
        return (state.ControlWord & FloatFlags.Invalid) != 0;
    }

    private static void SetConditions(ref X87State state, int value, int mask) =>
        state.StatusWord = (ushort)((state.StatusWord & ~mask) | value);

    /// <summary>Records an operation's exceptions and C1; false if an unmasked exception of the operands suppresses the operation.</summary>
    private static bool Complete(ref X87State state, in FloatContext context)
    {
        int flags = context.Flags;
        bool suppressed = (flags & ~context.Masks & FloatFlags.PreComputation) != 0;
        if (suppressed)
        {
            flags &= FloatFlags.PreComputation;
        }

        SetConditions(ref state, context.RoundedUp && !suppressed ? C1 : 0, C1);
        Raise(ref state, flags);
        return !suppressed;
    }

    /// <summary>As <see cref="Complete"/> for a destination in memory, which unmasked overflow and underflow leave unwritten too.</summary>
    private static bool CompleteStore(ref X87State state, in FloatContext context)
    {
        const int outOfRange = FloatFlags.Overflow | FloatFlags.Underflow;
        FloatContext reported = context;
        bool unwritten = (context.Flags & ~context.Masks & outOfRange) != 0;
        if (unwritten)
        {
            // Nothing was rounded for good, so inexactness is not reported.
            reported.Flags &= ~FloatFlags.Precision;
            reported.RoundedUp = false;
        }

        return Complete(ref state, in reported) && !unwritten;
    }

    private static void SetRegister(ref X87State state, int index, Float80 value)
    {
        state.St(index) = value;
        state.MarkValid(index);
    }

    private static void Push(ref X87State state, Float80 value)
    {
        state.Top--;
        SetRegister(ref state, 0, value);
    }

    private static void Pop(ref X87State state)
    {
        state.MarkEmpty(0);
        state.Top++;
    }

    private static Unpacked UnpackSt(ref X87State state, int index) => Format80.Unpack(state.St(index), false);
}
