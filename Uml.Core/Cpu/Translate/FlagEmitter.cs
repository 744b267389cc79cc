using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Emit;

namespace Uml.Core.Cpu.Translate;

/// <summary>
/// Moves the guest's flags between the host's flags register and the state, and makes them again from a <see cref="FlagSource"/>. Where they
/// are when, <see cref="FlagTracker"/> knows.
/// </summary>
/// <param name="code">Writes it.</param>
internal sealed class FlagEmitter(HostAssembler code)
{
    private const int Scratch = GuestRegisters.Scratch;

    /// <summary>Bits of the byte that LAHF stores, as in RFLAGS.</summary>
    private const int Carry = 0x01, Parity = 0x04, Zero = 0x40, Sign = 0x80;

    /// <summary>Saves the host's flags, which stay as they are.</summary>
    public void Save()
    {
        code.Move(Scratch, HostRegister.Rax);
        code.LoadFlagsIntoAh();
        code.SetCondition(Condition.O, HostRegister.Rax);
        code.Store16(GuestRegisters.State, StateLayout.FlagWord, HostRegister.Rax);
        code.Move(HostRegister.Rax, Scratch);
    }

    /// <summary>Loads the host's flags with the saved ones.</summary>
    public void Load(int scratch = Scratch)
    {
        code.Move(scratch, HostRegister.Rax);
        code.LoadZeroExtended16(HostRegister.Rax, GuestRegisters.State, StateLayout.FlagWord);

        // 1 + 7FH overflows a byte, 0 + 7FH does not.
        code.ArithmeticAl(Arithmetic.Add, 0x7F);
        code.StoreAhIntoFlags();
        code.Move(HostRegister.Rax, scratch);
    }

    /// <summary>Loads the host's carry flag with the saved one.</summary>
    public void LoadCarry() => code.BitTest16(GuestRegisters.State, StateLayout.FlagWord, 8);

    /// <summary>Tests a condition of saved flags that is a single one of them.</summary>
    /// <returns>The condition that it is in the host's flags then; -1 when nothing was done because it is made of several.</returns>
    public int TestSaved(int condition)
    {
        int mask = (condition & ~1) switch { Condition.E => Zero, Condition.B => Carry, Condition.S => Sign, Condition.P => Parity, _ => 0 };
        if (mask == 0)
        {
            return -1;
        }

        code.TestMemoryByte(GuestRegisters.State, StateLayout.FlagWord + 1, mask);
        return (condition & 1) == 0 ? Condition.Ne : Condition.E;
    }

    /// <summary>Saves flags that are only known by what they are made of, if it is.</summary>
    public void SaveRemade(in FlagState source)
    {
        if (!source.IsNone)
        {
            Remake(in source);
            Save();
        }
    }

    /// <summary>Sets the host's flags as they were set before. Uses the scratch register.</summary>
    public void Remake(in FlagState state)
    {
        if (state.Main.LeavesCarry)
        {
            if (state.Carry.IsNone)
            {
                LoadCarry();
            }
            else
            {
                Remake(state.Carry);
            }
        }

        Remake(state.Main);
    }

    /// <summary>CMP or TEST of operands wherever they are.</summary>
    public void Compare(in FlagSource source)
    {
        if (FlagSource.IsInState(source.First) && FlagSource.IsInState(source.Second))
        {
            LoadOperand(source.First);
            Compare(source with { First = Scratch, Second = source.Second == source.First ? (short)Scratch : source.Second });
            return;
        }

        bool isTest = source.Operation == FlagOperation.Test;
        int size = source.Size;
        OperandPlace first = PlaceOf(source.First);
        if (source.Second == FlagSource.Constant)
        {
            if (isTest)
            {
                code.TestImmediate(size, in first, source.Immediate);
            }
            else
            {
                code.CompareImmediate(size, in first, source.Immediate);
            }
        }
        else if (isTest)
        {
            // TEST has no direction.
            OperandPlace second = PlaceOf(source.Second);
            code.Test(size, first.IsMemory ? second.Register : first.Register, first.IsMemory ? first : second);
        }
        else if (first.IsMemory)
        {
            code.Compare(size, in first, source.Second);
        }
        else
        {
            code.ArithmeticSized(Arithmetic.Cmp, size, first.Register, PlaceOf(source.Second));
        }
    }

    private void Remake(in FlagSource source)
    {
        FlagOperation operation = source.Operation;
        if (operation is FlagOperation.Cmp or FlagOperation.Test)
        {
            Compare(in source);
            return;
        }

        int size = source.Size;
        bool isResult = source.First != FlagSource.KeptFirst;
        LoadOperand(source.First);
        switch (operation)
        {
            case FlagOperation.Add or FlagOperation.Sub:
                bool isSum = operation == FlagOperation.Add;
                if (isResult)
                {
                    EmitOnScratch(isSum ? Arithmetic.Sub : Arithmetic.Add, in source);
                }

                EmitOnScratch(isSum ? Arithmetic.Add : Arithmetic.Sub, in source);
                break;
            case FlagOperation.Inc or FlagOperation.Dec:
                EmitStep(size, isUp: operation == FlagOperation.Inc, isResult);
                break;
            case FlagOperation.Neg:
                code.Negate(size, Scratch);
                break;
            default:
                code.ShiftSized(ShiftOf(operation), size, Scratch, source.Immediate);
                break;
        }
    }

    /// <summary>INC or DEC of the scratch register, which has the result of it already perhaps.</summary>
    private void EmitStep(int size, bool isUp, bool isResult)
    {
        if (isResult)
        {
            code.LoadAddress(Scratch, Scratch, isUp ? -1 : 1);
        }

        if (isUp)
        {
            code.Increment(size, Scratch);
        }
        else
        {
            code.Decrement(size, Scratch);
        }
    }

    /// <summary>Arithmetic of the scratch register with a source's second operand.</summary>
    private void EmitOnScratch(int operation, in FlagSource source)
    {
        if (source.Second == FlagSource.Constant)
        {
            code.ArithmeticSizedImmediate(operation, source.Size, OperandPlace.In(Scratch), source.Immediate);
        }
        else
        {
            code.ArithmeticSized(operation, source.Size, Scratch, PlaceOf(source.Second));
        }
    }

    private void LoadOperand(short location)
    {
        if (FlagSource.IsInState(location))
        {
            code.Load(Scratch, GuestRegisters.State, FlagSource.Displacement(location));
        }
        else
        {
            code.Move(Scratch, location);
        }
    }

    private static OperandPlace PlaceOf(short location) => FlagSource.IsInState(location)
        ? OperandPlace.At(GuestRegisters.State, FlagSource.Displacement(location))
        : OperandPlace.In(location);

    private static int ShiftOf(FlagOperation operation) => operation switch
    {
        FlagOperation.Shl => Shift.Left,
        FlagOperation.Shr => Shift.Right,
        _ => Shift.ArithmeticRight,
    };
}
