using Iced.Intel;
using Uml.Core.Cpu.Contract;

namespace Uml.Core.Cpu.Translate;

internal sealed unsafe partial class BlockTranslator
{
    /// <summary>PUSH of a register or an immediate. RSP changes last, so that a fault leaves it as it was.</summary>
    private void EmitPush(int index)
    {
        EmitPushAccess(index);
        MoveStackPointer(-_plans[index].Word);
    }

    private void EmitPushAccess(int index)
    {
        if (TryEmitGrouped(in _plans[index]))
        {
            return;
        }

        _code.LoadAddress(GuestRegisters.Address, GuestRegisters.StackPointer, -_plans[index].Word, IsLong);
        int cold = EmitStackProbe(index, OperandUse.Write);
        EmitPushOperation(in _plans[index]);
        EndAccess(cold);
    }

    private void EmitPushOperation(in Plan plan)
    {
        switch (plan.Form)
        {
            case Form.Push:
                int guest = plan.Instruction.Op0Register.GetNumber();
                _code.Store(GuestRegisters.Address, _operandOffset, Home(guest, GuestRegisters.Scratch, load: true), IsLong);
                break;
            case Form.PushImmediate:
                _code.StoreImmediate(GuestRegisters.Address, _operandOffset, (int)(long)plan.Instruction.GetImmediate(0), IsLong);
                break;
            case Form.PushMemory or Form.PushFlags:
                _code.Load(GuestRegisters.Scratch, GuestRegisters.State, StateLayout.Spill);
                _code.Store(GuestRegisters.Address, 0, GuestRegisters.Scratch, IsLong);
                break;
            default:
                // CALL: the address of what follows.
                _code.Load(GuestRegisters.Scratch, GuestRegisters.State, StateLayout.PageRip);
                _code.LoadAddress(GuestRegisters.Scratch, GuestRegisters.Scratch, plan.PageOffset + plan.Instruction.Length);
                _code.Store(GuestRegisters.Address, _operandOffset, GuestRegisters.Scratch, IsLong);
                break;
        }
    }

    /// <summary>An instruction that takes the top of the stack: POP, or the target of a return.</summary>
    private void EmitStackTop(int index)
    {
        ref Plan plan = ref _plans[index];
        if (TryEmitGrouped(in plan))
        {
            return;
        }

        _code.Move(GuestRegisters.Address, GuestRegisters.StackPointer, IsLong);
        int cold = EmitStackProbe(index, OperandUse.Read);
        EmitOperation(in plan);
        EndAccess(cold);
    }

    private void EmitPopOperation(in Plan plan)
    {
        int guest = plan.Instruction.Op0Register.GetNumber();
        if (guest == GuestRegisters.Rsp)
        {
            // POP RSP: the value popped, not what lies behind it.
            _code.Load(GuestRegisters.StackPointer, GuestRegisters.Address, _operandOffset, IsLong);
            return;
        }

        int host = Home(guest, GuestRegisters.Scratch, load: false);
        _code.Load(host, GuestRegisters.Address, _operandOffset, IsLong);
        PutBack(guest, host);
        MoveStackPointer(plan.Word);
    }

    /// <summary>LEAVE: RSP := RBP, POP RBP.</summary>
    private void EmitLeaveFrame(int index)
    {
        _code.Move(GuestRegisters.Address, HostRegister.Rbp, IsLong);
        int cold = EmitStackProbe(index, OperandUse.Read);
        EmitOperation(in _plans[index]);
        EndAccess(cold);
        _code.LoadAddress(GuestRegisters.StackPointer, HostRegister.Rbp, _plans[index].Word, IsLong);
        _code.Move(HostRegister.Rbp, GuestRegisters.Scratch);
    }

    /// <summary>Flags stay.</summary>
    private void MoveStackPointer(int by) => _code.LoadAddress(GuestRegisters.StackPointer, GuestRegisters.StackPointer, by, IsLong);

    /// <summary>
    /// DIV and IDIV of registers by a register, with the cases that fault, or that the host's divider would take too long to rule out,
    /// left to the interpreter.
    /// </summary>
    private void EmitDivide(int index)
    {
        ref Plan plan = ref _plans[index];
        bool wide = plan.Encoding.Wide;
        int divisor = EmitDivisor(index);
        byte* special;
        byte* second = null;
        if (plan.Instruction.Mnemonic == Mnemonic.Div)
        {
            // The quotient fits when the high half is below the divisor, which is not zero then.
            _code.ArithmeticRegister(Arithmetic.Cmp, HostRegister.Rdx, divisor, wide);
            special = _code.JumpIf(Condition.Ae);
        }
        else
        {
            // A dividend that is a sign-extended half, divided by anything but 0 and -1, fits.
            _code.Move(GuestRegisters.Address, HostRegister.Rax);
            _code.Register(0xC1, 7, GuestRegisters.Address, wide);
            _code.Byte(wide ? 63 : 31);
            _code.ArithmeticRegister(Arithmetic.Cmp, GuestRegisters.Address, HostRegister.Rdx, wide);
            special = _code.JumpIf(Condition.Ne);
            _code.LoadAddress(GuestRegisters.Address, divisor, 1);
            _code.ArithmeticImmediate(Arithmetic.Cmp, GuestRegisters.Address, 1, wide);
            second = _code.JumpIf(Condition.Be);
        }

        _code.Register(0xF7, plan.Instruction.Mnemonic == Mnemonic.Div ? 6 : 7, divisor, wide);
        ReadOnlySpan<nint> jumps = [(nint)special, (nint)second];
        AddHandlerFor(index, second == null ? jumps[..1] : jumps);
    }

    private int EmitDivisor(int index)
    {
        ref Plan plan = ref _plans[index];
        if (!plan.Encoding.IsMemory)
        {
            return Home(plan.Encoding.Rm, GuestRegisters.Scratch, load: true);
        }

        EmitLinear(in plan);
        int cold = EmitProbe(index);
        _code.Memory(0x8B, GuestRegisters.Scratch, GuestRegisters.Address, 0, plan.Encoding.Wide);
        EndAccess(cold);
        return GuestRegisters.Scratch;
    }
}
