using Iced.Intel;
using Uml.Core.Cpu.Contract;

namespace Uml.Core.Cpu.Translate;

internal sealed unsafe partial class BlockTranslator
{
    /// <summary>The guest's flags that are in the host's now.</summary>
    private RflagsBits _hostFlags;

    /// <summary>What the guest's flags can be made of again; none when that is not known.</summary>
    private FlagState _source;

    /// <summary>Whether the saved flags are the guest's now.</summary>
    private bool _savedFlags;

    /// <summary>The last instruction that changed flags, or -1.</summary>
    private int _producer;

    private void BeginFlags(in FlagState incoming)
    {
        _hostFlags = RflagsBits.None;
        _source = incoming;
        _savedFlags = incoming.IsNone;
        _producer = -1;
    }

    /// <summary>Notes where flags are that a handler has left.</summary>
    private void FlagsAreSaved() => BeginFlags(default);

    /// <summary>Notes, and does, what becomes of the flags of an instruction that was just emitted.</summary>
    private void EndProducer(int index)
    {
        ref Plan plan = ref _plans[index];
        RflagsBits carry = Remake.KeepsCarry(in plan) ? _hostFlags & RflagsBits.CF : RflagsBits.None;
        _hostFlags = Remake.KeepsCarry(in plan) ? plan.Changes | carry : Planner.Status;
        _source = plan.Fate switch
        {
            FlagFate.Saved => default,
            FlagFate.Dropped => Remake.KeepsCarry(in plan) ? new FlagState(default, CarrySource) : default,
            _ => SourceOf(in plan, plan.Fate == FlagFate.Kept),
        };
        _savedFlags = plan.Fate == FlagFate.Saved;
        _producer = index;
        if (_savedFlags)
        {
            SaveFlags();
        }
    }

    private FlagState SourceOf(in Plan plan, bool kept) =>
        new(Remake.Describe(in plan, kept), Remake.KeepsCarry(in plan) ? CarrySource : default);

    /// <summary>What the carry flag is made of; none when it is saved.</summary>
    private FlagSource CarrySource => _source.Main.IsNone || _source.Main.LeavesCarry ? _source.Carry : _source.Main;

    /// <summary>What the flags are made of where a jump leaves the middle of the block; none when its target cannot be told.</summary>
    private FlagState SourceAtExit(in Plan jump)
    {
        if (_producer < 0)
        {
            return jump.PassesOn ? _source : default;
        }

        ref Plan producer = ref _plans[_producer];
        switch (producer.Fate)
        {
            case FlagFate.Kept: return _source;
            case FlagFate.Remade: return jump.PassesOn ? _source : default;
            case FlagFate.Dropped: return jump.PassesOn && !Remake.ComparesMemory(in producer) ? SourceOf(in producer, kept: false) : default;
            default: return default;
        }
    }

    /// <summary>Saves the host's flags, which stay as they are.</summary>
    private void SaveFlags()
    {
        _code.Move(GuestRegisters.Scratch, HostRegister.Rax);
        _code.Byte(0x9F); // lahf
        SetIfOverflow();
        _code.Store16(GuestRegisters.State, StateLayout.FlagWord, HostRegister.Rax);
        _code.Move(HostRegister.Rax, GuestRegisters.Scratch);
    }

    private void SetIfOverflow()
    {
        _code.Byte(0x0F);
        _code.Byte(0x90 | Condition.O);
        _code.ModRmRegister(0, HostRegister.Rax);
    }

    /// <summary>Loads the host's flags with the saved ones.</summary>
    private void LoadFlags(int scratch = GuestRegisters.Scratch)
    {
        _code.Move(scratch, HostRegister.Rax);
        _code.LoadZeroExtended16(HostRegister.Rax, GuestRegisters.State, StateLayout.FlagWord);

        // 1 + 7FH overflows a byte, 0 + 7FH does not.
        _code.Byte(0x04);
        _code.Byte(0x7F);
        _code.Byte(0x9E); // sahf
        _code.Move(HostRegister.Rax, scratch);
    }

    /// <summary>Makes the host's flags the guest's, if the instruction needs any that are not.</summary>
    private void RequireFlags(in Plan plan)
    {
        if ((plan.Needs & ~_hostFlags) == RflagsBits.None)
        {
            return;
        }

        if (_source.IsNone && plan.Needs == RflagsBits.CF && (plan.Changes | RflagsBits.CF) == Planner.Status)
        {
            // It makes all others itself.
            LoadCarry();
            _hostFlags = RflagsBits.CF;
        }
        else
        {
            RestoreFlags();
        }
    }

    /// <summary>Loads the host's carry flag with the saved one.</summary>
    private void LoadCarry() => _code.BitTest16(GuestRegisters.State, StateLayout.FlagWord, 8);

    /// <summary>Gets flags back into the host's: made again if they can be, else as they were saved.</summary>
    private void RestoreFlags()
    {
        if (_source.IsNone)
        {
            LoadFlags();
        }
        else
        {
            RemakeFlags(in _source);
        }

        _hostFlags = Planner.Status;
    }

    /// <summary>Saves flags that are only known by what they are made of, if it is.</summary>
    private void SaveRemade(in FlagState source)
    {
        if (!source.IsNone)
        {
            RemakeFlags(in source);
            SaveFlags();
        }
    }

    /// <summary>Saves flags, wherever they are, unless they are saved.</summary>
    private void EnsureSaved(bool isSaved, RflagsBits inHost, in FlagState source)
    {
        if (isSaved)
        {
            return;
        }

        if (inHost == Planner.Status)
        {
            SaveFlags();
        }
        else
        {
            SaveRemade(in source);
        }
    }

    /// <summary>Sets the host's flags as they were set before. Uses the scratch register.</summary>
    private void RemakeFlags(in FlagState state)
    {
        if (state.Main.LeavesCarry)
        {
            if (state.Carry.IsNone)
            {
                LoadCarry();
            }
            else
            {
                RemakeFlags(state.Carry);
            }
        }

        RemakeFlags(state.Main);
    }

    private void RemakeFlags(in FlagSource source)
    {
        const int scratch = GuestRegisters.Scratch;
        int size = source.Size;
        bool isResult = source.First != FlagSource.KeptFirst;
        switch (source.Operation)
        {
            case FlagOperation.Cmp or FlagOperation.Test:
                EmitComparison(in source);
                break;
            case FlagOperation.Add or FlagOperation.Sub:
                int operation = source.Operation == FlagOperation.Add ? Arithmetic.Add : Arithmetic.Sub;
                LoadOperand(source.First);
                if (isResult)
                {
                    EmitOnScratch(source.Operation == FlagOperation.Add ? Arithmetic.Sub : Arithmetic.Add, in source);
                }

                EmitOnScratch(operation, in source);
                break;
            case FlagOperation.Inc or FlagOperation.Dec:
                int step = source.Operation == FlagOperation.Inc ? 1 : -1;
                LoadOperand(source.First);
                if (isResult)
                {
                    _code.LoadAddress(scratch, scratch, -step);
                }

                _code.Sized(0xFE, size, step == 1 ? 0 : 1, scratch);
                break;
            case FlagOperation.Neg:
                LoadOperand(source.First);
                _code.Sized(0xF6, size, 3, scratch);
                break;
            default:
                LoadOperand(source.First);
                _code.Sized(0xC0, size, source.Operation == FlagOperation.Shl ? 4 : source.Operation == FlagOperation.Shr ? 5 : 7, scratch);
                _code.Byte(source.Immediate);
                break;
        }
    }

    /// <summary>CMP or TEST of operands wherever they are.</summary>
    private void EmitComparison(in FlagSource source)
    {
        bool isTest = source.Operation == FlagOperation.Test;
        int size = source.Size;
        if (FlagSource.IsInState(source.First) && FlagSource.IsInState(source.Second))
        {
            LoadOperand(source.First);
            EmitComparison(source with { First = GuestRegisters.Scratch, Second = source.Second == source.First ? (short)GuestRegisters.Scratch : source.Second });
            return;
        }

        if (source.Second == FlagSource.Constant)
        {
            bool small = !isTest && size != 1 && source.Immediate == (sbyte)source.Immediate;
            EmitRm(isTest ? 0xF6 : small ? 0x82 : 0x80, isTest ? 0 : Arithmetic.Cmp, source.First, size);
            _code.SizedImmediate(small ? 1 : size, source.Immediate);
        }
        else if (FlagSource.IsInState(source.First))
        {
            EmitRm(isTest ? 0x84 : Arithmetic.Cmp << 3, source.Second, source.First, size);
        }
        else
        {
            // Opcode bit 1: the first operand is the register field. TEST has no direction.
            EmitRm(isTest ? 0x84 : (Arithmetic.Cmp << 3) | 2, source.First, source.Second, size);
        }
    }

    /// <summary>Arithmetic of the scratch register with a source's second operand.</summary>
    private void EmitOnScratch(int operation, in FlagSource source)
    {
        if (source.Second == FlagSource.Constant)
        {
            _code.Sized(0x80, source.Size, operation, GuestRegisters.Scratch);
            _code.SizedImmediate(source.Size, source.Immediate);
        }
        else
        {
            EmitRm((operation << 3) | 2, GuestRegisters.Scratch, source.Second, source.Size);
        }
    }

    private void EmitRm(int opcode, int reg, short location, int size)
    {
        if (FlagSource.IsInState(location))
        {
            _code.SizedMemory(opcode, size, reg, GuestRegisters.State, FlagSource.Displacement(location));
        }
        else
        {
            _code.Sized(opcode, size, reg, location);
        }
    }

    private void LoadOperand(short location)
    {
        if (FlagSource.IsInState(location))
        {
            _code.Load(GuestRegisters.Scratch, GuestRegisters.State, FlagSource.Displacement(location));
        }
        else
        {
            _code.Move(GuestRegisters.Scratch, location);
        }
    }

    /// <summary>Keeps what the flags of an instruction that comes next can be made of, if they are to be made of that.</summary>
    private void KeepInputs(in Plan plan)
    {
        if (plan.Fate == FlagFate.Kept && !Remake.IsTold(in plan) && !Remake.ComparesMemory(in plan))
        {
            Keep(in plan, 0, StateLayout.KeptFirst);
            if (plan.Instruction.OpCount > 1)
            {
                Keep(in plan, 1, StateLayout.KeptSecond);
            }
        }
    }

    /// <summary>Keeps the result of the instruction that was just emitted, if its flags are to be made of that.</summary>
    private void KeepResult(in Plan plan)
    {
        if (plan.Fate == FlagFate.Kept && Remake.IsTold(in plan))
        {
            Keep(in plan, 0, StateLayout.KeptFirst);
        }
    }

    private void Keep(in Plan plan, int operand, int displacement)
    {
        if (plan.Instruction.GetOpKind(operand) == OpKind.Register)
        {
            int guest = plan.Instruction.GetOpRegister(operand).GetFullRegister().GetNumber();
            _code.Store(GuestRegisters.State, displacement, Home(guest, GuestRegisters.Scratch, load: true));
        }
    }

    /// <summary>CMP or TEST with memory at the address register, whose flags are to be made again: from what is there now.</summary>
    private void EmitKeptComparison(in Plan plan)
    {
        const int scratch = GuestRegisters.Scratch;
        ref readonly Instruction i = ref plan.Instruction;
        FlagSource source = Remake.Describe(in plan, kept: false);
        int memory = i.Op0Kind == OpKind.Memory ? 0 : 1;
        if (plan.Fate == FlagFate.Kept)
        {
            Keep(in plan, 1 - memory, memory == 0 ? StateLayout.KeptSecond : StateLayout.KeptFirst);
        }

        switch (source.Size)
        {
            case 1 or 2:
                _code.LoadZeroExtended(scratch, GuestRegisters.Address, _operandOffset, source.Size);
                break;
            default:
                _code.Memory(0x8B, scratch, GuestRegisters.Address, _operandOffset, wide: source.Size == 8);
                break;
        }

        _code.Store(GuestRegisters.State, memory == 0 ? StateLayout.KeptFirst : StateLayout.KeptSecond, scratch);
        EmitComparison(memory == 0 ? source with { First = scratch } : source with { Second = scratch });
    }
}
