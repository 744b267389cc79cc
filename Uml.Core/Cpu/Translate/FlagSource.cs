using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Translate;

/// <summary>What sets the arithmetic flags when it is done again.</summary>
internal enum FlagOperation : byte { None, Cmp, Test, Add, Sub, Inc, Dec, Shl, Shr, Sar, Neg }

/// <summary>
/// An operation whose flags are the guest's, in place of the flags themselves: done again on operands that are still there, it sets
/// them. Equal values mean the same, wherever they come from, so a translation can be found by the source its flags come with.
/// </summary>
/// <param name="Operation">The operation.</param>
/// <param name="Size">Of its operands, in bytes.</param>
/// <param name="First">
/// The first operand's location. A register has the result of <see cref="FlagOperation.Add"/>, <see cref="FlagOperation.Sub"/>,
/// <see cref="FlagOperation.Inc"/> and <see cref="FlagOperation.Dec"/>, which are taken back first; what is kept is what went in.
/// </param>
/// <param name="Second">The second operand's location, or <see cref="Constant"/>.</param>
/// <param name="Immediate">The second operand when it is a constant.</param>
internal readonly record struct FlagSource(FlagOperation Operation, byte Size, short First, short Second, int Immediate)
{
    /// <summary>A location that is none: the operand is <see cref="Immediate"/>.</summary>
    public const short Constant = -1;

    /// <summary>Locations from here on are displacements in the state; smaller ones are registers of the host.</summary>
    private const short FirstInState = 1 << 10;

    public static readonly short KeptFirst = InState(StateLayout.KeptFirst);
    public static readonly short KeptSecond = InState(StateLayout.KeptSecond);

    public bool IsNone => Operation == FlagOperation.None;

    /// <summary>Whether the carry flag is not its own, but what it was before.</summary>
    public bool LeavesCarry => Operation is FlagOperation.Inc or FlagOperation.Dec;

    /// <summary>Whether it takes something that was kept.</summary>
    public bool IsKept => First == KeptFirst || Second == KeptSecond;

    /// <summary>The general registers of the guest that it takes, a bit each.</summary>
    public int Registers => RegisterAt(First) | RegisterAt(Second);

    /// <summary>Where a general register of the guest is.</summary>
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
/// Where the flags come from: an operation, and for one that leaves the carry flag another, or none when that is saved. Without the first
/// only the carry flag's is known.
/// </summary>
internal readonly record struct FlagState(FlagSource Main, FlagSource Carry)
{
    public bool IsNone => Main.IsNone;

    public bool IsKept => Main.IsKept || Carry.IsKept;

    public int Registers => Main.Registers | Carry.Registers;
}
