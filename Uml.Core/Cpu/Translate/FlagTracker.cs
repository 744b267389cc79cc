using Iced.Intel;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Emit;

namespace Uml.Core.Cpu.Translate;

/// <summary>Where the guest's flags are at a place in a translation.</summary>
internal struct FlagsNow
{
    /// <summary>Those that are in the host's flags register.</summary>
    public RflagsBits InHost;

    /// <summary>What they can be made of again; none when that is not known.</summary>
    public FlagState Source;

    /// <summary>Whether the saved flags are the guest's.</summary>
    public bool IsSaved;

    /// <summary>The last instruction of the block that changed flags, or -1.</summary>
    public int Producer;

    /// <summary>In front of a block's first instruction.</summary>
    public static FlagsNow At(in FlagState incoming) => new() { Source = incoming, IsSaved = incoming.IsNone, Producer = -1 };

    /// <summary>What flags are made of where the block is left; none when they are saved.</summary>
    public readonly FlagState SourceAtEnd => IsSaved ? default : Source;
}

/// <summary>Follows the guest's flags from instruction to instruction while a block is emitted, and brings them where they are needed.</summary>
/// <param name="code">Writes stores of what is kept.</param>
/// <param name="flags">Moves flags.</param>
/// <param name="homes">Brings registers that are kept.</param>
/// <param name="context">The block.</param>
internal sealed class FlagTracker(HostAssembler code, FlagEmitter flags, RegisterHomes homes, BlockContext context)
{
    private FlagsNow _now;

    /// <summary>Where they are now. Assigned where emission goes on at another place.</summary>
    public ref FlagsNow Now => ref _now;

    /// <summary>Notes that a handler or the runtime has left all flags saved.</summary>
    public void NoteSaved() => _now = FlagsNow.At(default);

    /// <summary>Notes that the host's flags register was used for something else.</summary>
    public void NoteClobbered() => _now.InHost = RflagsBits.None;

    /// <summary>Notes, and does, what is to become of the flags of an instruction that was just emitted.</summary>
    public void EndProducer(int index)
    {
        ref Plan plan = ref context[index];
        bool keepsCarry = Remake.KeepsCarry(in plan);
        _now.InHost = keepsCarry ? plan.Changes | (_now.InHost & RflagsBits.CF) : Planner.Status;
        _now.Source = plan.Treatment switch
        {
            FlagTreatment.Saved => default,
            FlagTreatment.Dropped => keepsCarry ? new FlagState(default, CarrySource) : default,
            _ => SourceOf(in plan, plan.Treatment == FlagTreatment.Kept),
        };
        _now.IsSaved = plan.Treatment == FlagTreatment.Saved;
        _now.Producer = index;
        if (_now.IsSaved)
        {
            flags.Save();
        }
    }

    /// <summary>What the flags are made of where a jump leaves the middle of the block; none when they cannot be passed on by their source.</summary>
    public FlagState SourceAtExit(in Plan jump)
    {
        if (_now.Producer < 0)
        {
            return jump.PassesOn ? _now.Source : default;
        }

        ref Plan producer = ref context[_now.Producer];
        switch (producer.Treatment)
        {
            case FlagTreatment.Kept: return _now.Source;
            case FlagTreatment.Remade: return jump.PassesOn ? _now.Source : default;
            case FlagTreatment.Dropped: return jump.PassesOn && !Remake.ComparesMemory(in producer) ? SourceOf(in producer, kept: false) : default;
            default: return default;
        }
    }

    /// <summary>Makes the host's flags the guest's, if the instruction needs any that are not.</summary>
    public void Require(in Plan plan)
    {
        if ((plan.Needs & ~_now.InHost) == RflagsBits.None)
        {
            return;
        }

        if (_now.Source.IsNone && plan.Needs == RflagsBits.CF && (plan.Changes | RflagsBits.CF) == Planner.Status)
        {
            // It makes all others itself.
            flags.LoadCarry();
            _now.InHost = RflagsBits.CF;
        }
        else
        {
            BringBack();
        }
    }

    /// <summary>Gets the host's flags to where the condition of a jump can be tested; a single saved flag is tested in memory.</summary>
    /// <returns>The condition to jump on.</returns>
    public int RequireCondition(in Plan jump)
    {
        int condition = (int)jump.Instruction.ConditionCode - (int)ConditionCode.o;
        if (_now.InHost == RflagsBits.None && _now.Source.IsNone && flags.TestSaved(condition) is var tested and >= 0)
        {
            return tested;
        }

        Require(in jump);
        return condition;
    }

    /// <summary>Gets the flags into the host's if some of these are not there.</summary>
    public void Require(RflagsBits needed)
    {
        if ((needed & ~_now.InHost) != RflagsBits.None)
        {
            BringBack();
        }
    }

    /// <summary>Gets flags back into the host's: made again if they can be, else as they were saved.</summary>
    public void BringBack()
    {
        if (_now.Source.IsNone)
        {
            flags.Load();
        }
        else
        {
            flags.Remake(in _now.Source);
        }

        _now.InHost = Planner.Status;
    }

    /// <summary>As <see cref="BringBack"/>, where the scratch register has an operand, which stays.</summary>
    public void BringBackAroundScratch()
    {
        if (_now.Source.IsNone)
        {
            flags.Load(GuestRegisters.Address);
        }
        else
        {
            code.Store(GuestRegisters.State, StateLayout.Spill, GuestRegisters.Scratch);
            flags.Remake(in _now.Source);
            code.Load(GuestRegisters.Scratch, GuestRegisters.State, StateLayout.Spill);
        }

        _now.InHost = Planner.Status;
    }

    /// <summary>Saves flags, wherever they are, unless they are saved.</summary>
    public void EnsureSaved(in FlagsNow now)
    {
        if (now.IsSaved)
        {
            return;
        }

        if (now.InHost == Planner.Status)
        {
            flags.Save();
        }
        else
        {
            flags.SaveRemade(in now.Source);
        }
    }

    /// <summary>Keeps what the flags of an instruction that comes next can be made of, if they are to be made of that.</summary>
    public void KeepInputs(in Plan plan)
    {
        if (plan.Treatment == FlagTreatment.Kept && !Remake.IsMadeOfResult(in plan) && !Remake.ComparesMemory(in plan))
        {
            Keep(in plan, 0, StateLayout.KeptFirst);
            if (plan.Instruction.OpCount > 1)
            {
                Keep(in plan, 1, StateLayout.KeptSecond);
            }
        }
    }

    /// <summary>Keeps the result of the instruction that was just emitted, if its flags are to be made of that.</summary>
    public void KeepResult(in Plan plan)
    {
        if (plan.Treatment == FlagTreatment.Kept && Remake.IsMadeOfResult(in plan))
        {
            Keep(in plan, 0, StateLayout.KeptFirst);
        }
    }

    /// <summary>Keeps an operand, if it is a register.</summary>
    public void Keep(in Plan plan, int operand, int displacement)
    {
        if (plan.Instruction.GetOpKind(operand) == OpKind.Register)
        {
            int guest = plan.Instruction.GetOpRegister(operand).GetFullRegister().GetNumber();
            code.Store(GuestRegisters.State, displacement, homes.Use(guest, GuestRegisters.Scratch, load: true));
        }
    }

    private FlagState SourceOf(in Plan plan, bool kept) =>
        new(Remake.Describe(in plan, kept), Remake.KeepsCarry(in plan) ? CarrySource : default);

    /// <summary>What the carry flag is made of; none when it is saved.</summary>
    private FlagSource CarrySource => _now.Source.Main.IsNone || _now.Source.Main.LeavesCarry ? _now.Source.Carry : _now.Source.Main;
}
