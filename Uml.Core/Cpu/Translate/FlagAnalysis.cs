using Iced.Intel;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Translate;

/// <summary>
/// What becomes of arithmetic flags in a block. They stay in the host's flags from the instruction that makes them to those that use them.
/// Where something between destroys them, or can see them (an exit, a fault, a handler, the next block), they are made again, when they
/// are asked for, from a <see cref="FlagSource"/>; what has none is saved to <see cref="EngineState.FlagWord"/>.
/// </summary>
internal static class FlagAnalysis
{
    /// <summary>Adds what an instruction leaves unchanged to what it needs, and decides the fate of what it makes.</summary>
    /// <param name="plans">The block.</param>
    /// <param name="incoming">Where the flags come from when it is entered; none when they are saved.</param>
    /// <param name="passesOn">Whether the blocks that follow can be told where their flags come from.</param>
    /// <returns>False when the flags would have to be saved at once.</returns>
    public static bool Run(Span<Plan> plans, in FlagState incoming, bool passesOn)
    {
        CollectNeeds(plans);
        bool isCarryKept = false;
        if (!incoming.IsNone)
        {
            if (Decide(plans, -1, Fated.Of(in incoming), passesOn) == FlagFate.Saved)
            {
                return false;
            }

            isCarryKept = incoming.IsKept;
        }

        for (int i = 0; i < plans.Length; i++)
        {
            ref Plan plan = ref plans[i];
            if (plan.Form == Form.Handler)
            {
                isCarryKept = false;
            }
            else if (plan.Changes != RflagsBits.None)
            {
                plan.Fate = Decide(plans, i, Fated.Of(in plan, isCarryKept), passesOn);
                if (!Remake.KeepsCarry(in plan) || plan.Fate == FlagFate.Saved)
                {
                    isCarryKept = plan.Fate == FlagFate.Kept || (plan.Fate == FlagFate.Remade && Remake.ComparesMemory(in plan));
                }

                if (Remake.KeepsCarry(in plan) && plan.Fate == FlagFate.Saved)
                {
                    plan.Needs |= RflagsBits.CF;
                }
            }
        }

        return true;
    }

    private static void CollectNeeds(Span<Plan> plans)
    {
        RflagsBits live = Planner.Status;
        for (int i = plans.Length - 1; i >= 0; i--)
        {
            ref Plan plan = ref plans[i];
            if (plan.Form == Form.Handler)
            {
                live = Planner.Status;
                continue;
            }

            if (plan.Changes != RflagsBits.None && !Remake.KeepsCarry(in plan))
            {
                plan.Needs |= live & ~plan.Changes;
            }

            live = plan.Observes || plan.IsSideExit ? Planner.Status : (live & ~plan.Changes) | plan.Needs;
        }
    }

    /// <summary>Follows flags from what makes them to what takes their place.</summary>
    private static FlagFate Decide(Span<Plan> plans, int producer, Fated flags, bool passesOn)
    {
        bool wanted = false;
        bool lost = false;
        for (int i = producer + 1; i < plans.Length; i++)
        {
            ref Plan plan = ref plans[i];
            if (plan.Clobbers)
            {
                flags.InHost = RflagsBits.None;
            }

            RflagsBits needs = plan.IsSideExit ? Planner.Status : plan.Needs;
            if (plan.Observes || (needs & ~flags.InHost) != RflagsBits.None)
            {
                wanted = true;
                lost |= !flags.IsRemakeable;
                if ((lost && !flags.IsKeepable) || plan.Form == Form.Handler)
                {
                    return FlagFate.Saved;
                }
            }

            if (plan.IsSideExit && !flags.IsCarryOnly)
            {
                plan.PassesOn = flags.IsRemakeable && !lost;
            }

            if (plan.Changes != RflagsBits.None)
            {
                if (!Remake.KeepsCarry(in plan) || flags.KeepsCarry)
                {
                    return lost ? FlagFate.Kept : wanted ? FlagFate.Remade : FlagFate.Dropped;
                }

                // The carry flag lives on: in the host's flags only if it was there to begin with, which is not worth knowing.
                flags.InHost = plan.Changes;
                flags.IsCarryOnly = true;
                flags.Registers = flags.CarryRegisters;
            }

            if ((plan.Writes & flags.Registers) != 0)
            {
                // From here on they cannot be made again.
                flags.IsRemakeable = false;
            }
        }

        lost |= !flags.IsRemakeable;
        return !passesOn || (lost && !flags.IsKeepable) ? FlagFate.Saved : lost ? FlagFate.Kept : FlagFate.Remade;
    }

    /// <summary>What is known of flags on their way.</summary>
    private struct Fated
    {
        /// <summary>Those that are in the host's.</summary>
        public RflagsBits InHost;
        public bool IsRemakeable;
        public bool IsKeepable;
        public bool KeepsCarry;

        /// <summary>All but the carry flag have been made anew.</summary>
        public bool IsCarryOnly;

        /// <summary>The registers they are made again from, and those that the carry flag alone is.</summary>
        public int Registers;
        public int CarryRegisters;

        public static Fated Of(in FlagState incoming) => new()
        {
            IsRemakeable = true,
            Registers = incoming.Registers,
            CarryRegisters = incoming.Main.LeavesCarry ? incoming.Carry.Registers : incoming.Main.Registers,
        };

        public static Fated Of(in Plan plan, bool isCarryKept)
        {
            bool keepsCarry = Remake.KeepsCarry(in plan);
            bool possible = Remake.IsPossible(in plan);
            int registers = possible ? Remake.Describe(in plan, kept: false).Registers : 0;
            return new Fated
            {
                InHost = keepsCarry ? plan.Changes : Planner.Status,
                IsRemakeable = possible,

                // There is room for one operation's operands.
                IsKeepable = !(keepsCarry && isCarryKept) && Remake.IsPossibleFromKept(in plan),
                KeepsCarry = keepsCarry,
                Registers = registers,
                CarryRegisters = registers,
            };
        }
    }
}
