using Iced.Intel;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Translate;

/// <summary>
/// What becomes of arithmetic flags in a block. They stay in the host's flags from the instruction that makes them to those that use them.
/// Where something between destroys them, or can see them (an exit, a fault, a handler, the next block), they are made again, when they
/// are asked for, from a <see cref="FlagSource"/>; what has none is saved to <see cref="HotWords.FlagWord"/>.
/// </summary>
internal static class FlagAnalysis
{
    /// <summary>Adds what an instruction leaves unchanged to what it needs, and decides what becomes of the flags it makes.</summary>
    /// <param name="plans">The block.</param>
    /// <param name="incoming">Where the flags come from when it is entered; none when they are saved.</param>
    /// <param name="passesOn">Whether the blocks that follow are known, so that flags can be passed to them by their source.</param>
    /// <returns>False when the flags would have to be saved at once.</returns>
    public static bool Run(Span<Plan> plans, in FlagState incoming, bool passesOn)
    {
        CollectNeeds(plans);
        bool isCarryKept = false;
        if (!incoming.IsNone)
        {
            if (Follow(plans, -1, TrackedFlags.Of(in incoming), passesOn) == FlagTreatment.Saved)
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
                plan.Treatment = Follow(plans, i, TrackedFlags.Of(in plan, isCarryKept), passesOn);
                if (!Remake.KeepsCarry(in plan) || plan.Treatment == FlagTreatment.Saved)
                {
                    isCarryKept = plan.Treatment == FlagTreatment.Kept || (plan.Treatment == FlagTreatment.Remade && Remake.ComparesMemory(in plan));
                }

                if (Remake.KeepsCarry(in plan) && plan.Treatment == FlagTreatment.Saved)
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
    private static FlagTreatment Follow(Span<Plan> plans, int producer, TrackedFlags flags, bool passesOn)
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
                    return FlagTreatment.Saved;
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
                    return lost ? FlagTreatment.Kept : wanted ? FlagTreatment.Remade : FlagTreatment.Dropped;
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
        return !passesOn || (lost && !flags.IsKeepable) ? FlagTreatment.Saved : lost ? FlagTreatment.Kept : FlagTreatment.Remade;
    }

    /// <summary>What is known of flags on their way.</summary>
    private struct TrackedFlags
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

        public static TrackedFlags Of(in FlagState incoming) => new()
        {
            IsRemakeable = true,
            Registers = incoming.Registers,
            CarryRegisters = incoming.Main.LeavesCarry ? incoming.Carry.Registers : incoming.Main.Registers,
        };

        public static TrackedFlags Of(in Plan plan, bool isCarryKept)
        {
            bool keepsCarry = Remake.KeepsCarry(in plan);
            bool possible = Remake.IsPossible(in plan);
            int registers = possible ? Remake.Describe(in plan, kept: false).Registers : 0;
            return new TrackedFlags
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
