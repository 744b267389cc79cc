using Iced.Intel;

namespace Uml.Core.Cpu.Translate;

/// <summary>
/// What becomes of arithmetic flags in a block. They stay in the host's flags from the instruction that makes them to those that use them;
/// they are saved to <see cref="CpuState.FlagWord"/> only if something between destroys them, or can see them: an exit, a fault, a handler.
/// </summary>
internal static class FlagAnalysis
{
    /// <summary>Adds what an instruction leaves unchanged to what it needs, and decides the fate of what it makes.</summary>
    public static void Run(Span<Plan> plans)
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

            if (plan.Changes != RflagsBits.None)
            {
                plan.Fate = Decide(plans, i);
                if (plan.Fate is not (FlagFate.Remade or FlagFate.Kept) || !Remake.KeepsCarry(in plan))
                {
                    plan.Needs |= live & ~plan.Changes;
                }
            }

            live = plan.Observes || plan.IsSideExit ? Planner.Status : (live & ~plan.Changes) | plan.Needs;
        }
    }

    private static FlagFate Decide(Span<Plan> plans, int producer)
    {
        bool inHost = true;
        bool keepsCarry = Remake.KeepsCarry(in plans[producer]);
        bool carryIsKnown = !keepsCarry || AreSavedBefore(plans, producer);
        bool remakeable = carryIsKnown && Remake.IsPossible(in plans[producer]);
        bool keepable = carryIsKnown && Remake.IsPossibleFromKept(in plans[producer]);
        int sources = remakeable ? Remake.Sources(in plans[producer]) : 0;
        bool wanted = false;
        bool lost = false;
        for (int i = producer + 1; i < plans.Length; i++)
        {
            ref Plan plan = ref plans[i];
            inHost &= !plan.Clobbers;
            if (keepsCarry && (plan.IsSideExit || plan.Needs != RflagsBits.None))
            {
                // The host's carry flag would have to be right.
                remakeable = keepable = false;
            }

            if (plan.Observes || ((plan.IsSideExit || plan.Needs != RflagsBits.None) && !inHost))
            {
                wanted = true;
                lost |= !remakeable;
                if ((lost && !keepable) || plan.Form == Form.Handler)
                {
                    return FlagFate.Saved;
                }
            }

            if (plan.Changes != RflagsBits.None)
            {
                return lost ? FlagFate.Kept : wanted ? FlagFate.Remade : FlagFate.Dropped;
            }

            if ((plan.Writes & sources) != 0)
            {
                // From here on they cannot be made again.
                remakeable = false;
            }
        }

        return FlagFate.Saved;
    }

    /// <summary>Whether the flags before an instruction are saved ones: those that the block was entered with, or that a handler left.</summary>
    private static bool AreSavedBefore(Span<Plan> plans, int index)
    {
        for (int i = index - 1; i >= 0 && plans[i].Form != Form.Handler; i--)
        {
            if (plans[i].Changes != RflagsBits.None)
            {
                return false;
            }
        }

        return true;
    }
}
