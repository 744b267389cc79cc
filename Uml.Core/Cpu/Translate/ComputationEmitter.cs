using Iced.Intel;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Emit;

namespace Uml.Core.Cpu.Translate;

/// <summary>Instructions that compute: those that are their own translation, and division and bit strings, which need more.</summary>
/// <param name="code">Writes it.</param>
/// <param name="homes">Brings registers that are kept in the state.</param>
/// <param name="flags">Knows where flags are.</param>
/// <param name="addresses">Computes addresses.</param>
/// <param name="access">Accesses memory.</param>
/// <param name="groups">Emits operations, with the lookup of a group or one of their own.</param>
/// <param name="handlers">Does what may fault.</param>
/// <param name="context">The block.</param>
internal sealed unsafe class ComputationEmitter(
    HostAssembler code,
    RegisterHomes homes,
    FlagTracker flags,
    AddressEmitter addresses,
    AccessEmitter access,
    GroupEmitter groups,
    HandlerEmitter handlers,
    BlockContext context)
{
    // SAFETY: pointers are positions in the block that is emitted.
    private const int Scratch = GuestRegisters.Scratch, Address = GuestRegisters.Address;

    /// <summary>An instruction that is its own translation.</summary>
    public void EmitPlain(int index)
    {
        ref Plan plan = ref context[index];
        flags.KeepInputs(in plan);
        groups.EmitOperation(index);
        flags.KeepResult(in plan);
    }

    /// <summary>
    /// DIV and IDIV of registers by a register, with the cases that fault, or that the host's divider would take too long to rule out,
    /// left to the interpreter.
    /// </summary>
    public void EmitDivide(int index)
    {
        ref Plan plan = ref context[index];
        bool wide = plan.Encoding.Wide;
        int divisor = EmitDivisor(index);
        if (plan.Instruction.Mnemonic == Mnemonic.Div)
        {
            // The quotient fits when the high half is below the divisor, which is not zero then.
            code.ArithmeticRegister(Arithmetic.Cmp, HostRegister.Rdx, divisor, wide);
            byte* special = code.JumpIf(Condition.Ae);
            code.Divide(divisor, isSigned: false, wide);
            handlers.Add(index, (nint)special);
            return;
        }

        // A dividend that is a sign-extended half, divided by anything but 0 and -1, fits.
        code.Move(Address, HostRegister.Rax);
        code.ShiftArithmeticRight(Address, wide ? 63 : 31, wide);
        code.ArithmeticRegister(Arithmetic.Cmp, Address, HostRegister.Rdx, wide);
        byte* large = code.JumpIf(Condition.Ne);
        code.LoadAddress(Address, divisor, 1);
        code.ArithmeticImmediate(Arithmetic.Cmp, Address, 1, wide);
        byte* zeroOrMinusOne = code.JumpIf(Condition.Be);
        code.Divide(divisor, isSigned: true, wide);
        handlers.Add(index, (nint)large, (nint)zeroOrMinusOne);
    }

    /// <summary>BT of a bit string in memory: the word that has the bit, then the bit by the rest of the index.</summary>
    public void EmitBitTest(int index)
    {
        ref Plan plan = ref context[index];
        bool wide = plan.Encoding.Wide;
        int bit = GuestRegisters.Host(plan.Encoding.Reg);
        addresses.EmitLinear(in plan);
        if (wide)
        {
            code.Move(Scratch, bit);
        }
        else
        {
            code.SignExtend32(Scratch, bit);
        }

        code.ShiftArithmeticRight(Scratch, wide ? 6 : 5);
        code.LoadAddress(Address, Address, Scratch, wide ? 3 : 2, 0, context.IsLong);
        int cold = access.Probe(index);
        code.Load(Scratch, Address, 0, wide);
        access.End(cold);
        if (plan.Needs != RflagsBits.None)
        {
            flags.BringBackAroundScratch();
        }

        code.BitTest(Scratch, bit, wide);
    }

    private int EmitDivisor(int index)
    {
        ref Plan plan = ref context[index];
        if (!plan.Encoding.IsMemory)
        {
            return homes.Use(plan.Encoding.Rm, Scratch, load: true);
        }

        access.EmitLoad(index, Scratch, plan.Encoding.Wide);
        return Scratch;
    }
}
