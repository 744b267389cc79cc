using Iced.Intel;
using Uml.Core.Cpu.Emit;

namespace Uml.Core.Cpu.Translate;

internal sealed unsafe partial class BlockTranslator
{
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

    /// <summary>Makes the host's flags the guest's, if the instruction needs any and they are not.</summary>
    private void RequireFlags(in Plan plan)
    {
        if (plan.Needs == RflagsBits.None || _hostFlags)
        {
            return;
        }

        if (_remake < 0 && plan.Needs == RflagsBits.CF && (plan.Changes | RflagsBits.CF) == Planner.Status)
        {
            // It makes all others itself.
            LoadCarry();
        }
        else
        {
            RestoreFlags();
        }

        _hostFlags = true;
    }

    /// <summary>Loads the host's carry flag with the saved one.</summary>
    private void LoadCarry() => _code.BitTest16(GuestRegisters.State, StateLayout.FlagWord, 8);

    /// <summary>Gets flags back into the host's: made again if they can be, else as they were saved.</summary>
    private void RestoreFlags()
    {
        if (_remake >= 0)
        {
            RemakeFlags(_remake);
        }
        else
        {
            LoadFlags();
        }
    }

    /// <summary>Saves flags that only an instruction (or -1) can make again.</summary>
    private void SaveRemade(int remake)
    {
        if (remake >= 0)
        {
            RemakeFlags(remake);
            SaveFlags();
        }
    }

    /// <summary>Saves flags, wherever they are, unless they are saved.</summary>
    private void EnsureSaved(bool isSaved, bool inHost, int remake)
    {
        if (isSaved)
        {
            return;
        }

        if (!inHost)
        {
            RemakeFlags(remake);
        }

        SaveFlags();
    }

    /// <summary>Sets the host's flags as an instruction did whose operands are still there. Uses the scratch register.</summary>
    private void RemakeFlags(int index)
    {
        ref Plan plan = ref _plans[index];
        ref Encoding e = ref plan.Encoding;
        if (plan.Fate == FlagFate.Kept)
        {
            RemakeFromKept(in plan);
            return;
        }

        switch (plan.Instruction.Mnemonic)
        {
            case Mnemonic.Cmp or Mnemonic.Test:
                Reencode(in plan, e.Opcode, RegisterField(in plan), GuestRegisters.Host(e.Rm));
                break;
            case Mnemonic.Add:
                RemakeByInverse(in plan, inverse: 0x28, own: 0x00);
                break;
            case Mnemonic.Sub:
                RemakeByInverse(in plan, inverse: 0x00, own: 0x28);
                break;
            case Mnemonic.Inc or Mnemonic.Dec:
                // The flags before it are still saved.
                LoadCarry();
                _code.LoadAddress(GuestRegisters.Scratch, GuestRegisters.Host(e.Rm), plan.Instruction.Mnemonic == Mnemonic.Inc ? -1 : 1);
                Reencode(in plan, e.Opcode, RegisterField(in plan), GuestRegisters.Scratch);
                break;
            default:
                TestResult(in plan, FirstOperand(in plan));
                break;
        }
    }

    /// <summary>Keeps what the flags of an instruction that comes next can be made of, if they are to be made of that.</summary>
    private void KeepInputs(in Plan plan)
    {
        if (plan.Fate != FlagFate.Kept || Remake.IsTold(in plan))
        {
            return;
        }

        _code.Store(GuestRegisters.State, StateLayout.KeptFirst, FirstOperand(in plan));
        if (plan.Instruction.Op1Kind == OpKind.Register)
        {
            _code.Store(GuestRegisters.State, StateLayout.KeptSecond, GuestRegisters.Host(plan.Instruction.Op1Register));
        }
    }

    /// <summary>Keeps the result of the instruction that was just emitted, if its flags are to be made of that.</summary>
    private void KeepResult(in Plan plan)
    {
        if (plan.Fate == FlagFate.Kept && Remake.IsTold(in plan))
        {
            _code.Store(GuestRegisters.State, StateLayout.KeptFirst, FirstOperand(in plan));
        }
    }

    private static int FirstOperand(in Plan plan) => GuestRegisters.Host(plan.Instruction.Op0Register);

    private void RemakeFromKept(in Plan plan)
    {
        ref readonly Encoding e = ref plan.Encoding;
        if (Remake.KeepsCarry(in plan))
        {
            LoadCarry();
        }

        _code.Load(GuestRegisters.Scratch, GuestRegisters.State, StateLayout.KeptFirst);
        if (Remake.IsTold(in plan))
        {
            TestResult(in plan, GuestRegisters.Scratch);
        }
        else if (plan.Instruction.Op1Kind == OpKind.Register && e.Opcode < 0x40)
        {
            // With bit 1 of the opcode the first operand is in the register field.
            ReencodeMemory(in plan, e.Opcode | 2, GuestRegisters.Scratch, GuestRegisters.State, StateLayout.KeptSecond);
        }
        else
        {
            Reencode(in plan, e.Opcode, RegisterField(in plan), GuestRegisters.Scratch);
        }
    }

    /// <summary>The flags of AND, OR and XOR from their result.</summary>
    private void TestResult(in Plan plan, int result)
    {
        int size = plan.Instruction.Op0Register.GetSize();
        if (size == 2)
        {
            _code.Byte(0x66);
        }

        _code.Rex(size == 8, result, 0, result, force: size == 1);
        _code.Byte(size == 1 ? 0x84 : 0x85);
        _code.ModRmRegister(result, result);
    }

    /// <summary>Takes the instruction back in the scratch register and does it again there.</summary>
    private void RemakeByInverse(in Plan plan, int inverse, int own)
    {
        ref readonly Encoding e = ref plan.Encoding;
        _code.Move(GuestRegisters.Scratch, FirstOperand(in plan));
        if (e.Opcode < 0x40)
        {
            // Bit 1 of the opcode: the destination is the register field.
            bool toRegister = (e.Opcode & 2) != 0;
            int reg = toRegister ? GuestRegisters.Scratch : RegisterField(in plan);
            int rm = toRegister ? GuestRegisters.Host(e.Rm) : GuestRegisters.Scratch;
            Reencode(in plan, (e.Opcode & 7) | inverse, reg, rm);
            Reencode(in plan, (e.Opcode & 7) | own, reg, rm);
        }
        else
        {
            Reencode(in plan, e.Opcode, inverse >> 3, GuestRegisters.Scratch);
            Reencode(in plan, e.Opcode, own >> 3, GuestRegisters.Scratch);
        }
    }
}
