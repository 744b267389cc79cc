using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Contract;

/// <summary>An operation that sets the arithmetic flags when it is executed again.</summary>
internal enum FlagOperation : byte { None, Cmp, Test, Add, Sub, Inc, Dec, Shl, Shr, Sar, Neg }

/// <summary>
/// A lazy representation of the guest's flags: an operation that, executed again on operands that are still available, sets them. Equal
/// values mean the same flags, so translations are found by the source of the flags they are entered with.
/// </summary>
/// <param name="Operation">The operation.</param>
/// <param name="Size">Operand size in bytes.</param>
/// <param name="First">
/// The first operand's location. After <see cref="FlagOperation.Add"/>, <see cref="FlagOperation.Sub"/>, <see cref="FlagOperation.Inc"/>
/// and <see cref="FlagOperation.Dec"/> a register holds the result, from which the operand is recomputed; a kept value is the operand
/// itself.
/// </param>
/// <param name="Second">The second operand's location, or <see cref="Constant"/>.</param>
/// <param name="Immediate">The second operand when it is a constant.</param>
internal readonly record struct FlagSource(FlagOperation Operation, byte Size, short First, short Second, int Immediate)
{
    /// <summary>In place of a location: the operand is <see cref="Immediate"/>.</summary>
    public const short Constant = -1;

    /// <summary>Locations from here on are displacements in the state; smaller ones are registers of the host.</summary>
    private const short FirstInState = 1 << 10;

    public static readonly short KeptFirst = InState(StateLayout.KeptFirst);
    public static readonly short KeptSecond = InState(StateLayout.KeptSecond);

    public bool IsNone => Operation == FlagOperation.None;

    /// <summary>Whether the operation leaves the carry flag unchanged.</summary>
    public bool LeavesCarry => Operation is FlagOperation.Inc or FlagOperation.Dec;

    /// <summary>Whether an operand is one that was saved in the state (<see cref="KeptFirst"/>, <see cref="KeptSecond"/>).</summary>
    public bool IsKept => First == KeptFirst || Second == KeptSecond;

    /// <summary>The general registers of the guest that are its operands, a bit each.</summary>
    public int Registers => RegisterAt(First) | RegisterAt(Second);

    /// <summary>The location of a general register of the guest.</summary>
    public static short Of(int guest) =>
        GuestRegisters.Host(guest) is var host and not GuestRegisters.None ? (short)host : InState(StateLayout.Gpr(guest));

    public static bool IsInState(short location) => location >= FirstInState / 2;

    public static int Displacement(short location) => location - FirstInState;

    private static short InState(int displacement) => (short)(displacement + FirstInState);

    private static int RegisterAt(short location)
    {
        for (int guest = 0; guest < CpuState.GprCount; guest++)
        {
            if (location == Of(guest))
            {
                return 1 << guest;
            }
        }

        return 0;
    }
}

/// <summary>
/// The sources of all arithmetic flags: an operation, and, when that leaves the carry flag unchanged, another one for the carry flag, or
/// none when that is saved. Without the first only the carry flag's source is known.
/// </summary>
internal readonly record struct FlagState(FlagSource Main, FlagSource Carry)
{
    public bool IsNone => Main.IsNone;

    public bool IsKept => Main.IsKept || Carry.IsKept;

    public int Registers => Main.Registers | Carry.Registers;
}
