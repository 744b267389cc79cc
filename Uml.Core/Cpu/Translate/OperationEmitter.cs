using Iced.Intel;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Emit;

namespace Uml.Core.Cpu.Translate;

/// <summary>
/// What an instruction does with its memory operand, once the address register points there in the host's memory. It stands in a translation
/// twice when the operand may be something else than plain memory.
/// </summary>
/// <param name="code">Writes it.</param>
/// <param name="homes">Brings registers that are kept in the state.</param>
/// <param name="flagEmitter">Compares operands.</param>
/// <param name="flags">Knows where the flags are.</param>
/// <param name="encoder">Writes instructions again.</param>
/// <param name="context">The block.</param>
internal sealed class OperationEmitter(
    HostAssembler code, RegisterHomes homes, FlagEmitter flagEmitter, FlagTracker flags, InstructionEncoder encoder, BlockContext context)
{
    private const int Scratch = GuestRegisters.Scratch, Address = GuestRegisters.Address;

    /// <summary>Emits the operation.</summary>
    /// <param name="plan">The instruction.</param>
    /// <param name="offset">From the address register to the operand: members of a group share one address.</param>
    public void Emit(in Plan plan, int offset = 0)
    {
        switch (plan.Form)
        {
            case Form.Push or Form.PushImmediate or Form.PushMemory or Form.PushFlags or Form.Call or Form.CallIndirect:
                EmitPush(in plan, offset);
                break;
            case Form.Pop:
                EmitPop(in plan, offset);
                break;
            case Form.LeaveFrame:
                code.Load(Scratch, Address, 0, context.IsLong);
                break;
            case Form.Return or Form.JumpIndirect:
                code.Load(Address, Address, offset, context.IsLong);
                break;
            default:
                EmitPlain(in plan, offset);
                break;
        }
    }

    private void EmitPlain(in Plan plan, int offset)
    {
        if (plan.Treatment is FlagTreatment.Remade or FlagTreatment.Kept && Remake.ComparesMemory(in plan))
        {
            EmitKeptComparison(in plan, offset);
            return;
        }

        flags.Require(in plan);
        encoder.Emit(in plan, offset);
    }

    private void EmitPush(in Plan plan, int offset)
    {
        switch (plan.Form)
        {
            case Form.Push:
                int guest = plan.Instruction.Op0Register.GetNumber();
                code.Store(Address, offset, homes.Use(guest, Scratch, load: true), context.IsLong);
                break;
            case Form.PushImmediate:
                code.StoreImmediate(Address, offset, (int)(long)plan.Instruction.GetImmediate(0), context.IsLong);
                break;
            case Form.PushMemory or Form.PushFlags:
                code.Load(Scratch, GuestRegisters.State, StateLayout.Spill);
                code.Store(Address, 0, Scratch, context.IsLong);
                break;
            default:
                // CALL: the address of what follows.
                code.Load(Scratch, GuestRegisters.State, StateLayout.PageRip);
                code.LoadAddress(Scratch, Scratch, plan.PageOffset + plan.Instruction.Length);
                code.Store(Address, offset, Scratch, context.IsLong);
                break;
        }
    }

    private void EmitPop(in Plan plan, int offset)
    {
        int guest = plan.Instruction.Op0Register.GetNumber();
        if (guest == GuestRegisters.Rsp)
        {
            // POP RSP: the value popped, not what lies behind it.
            code.Load(GuestRegisters.StackPointer, Address, offset, context.IsLong);
            return;
        }

        int host = homes.Use(guest, Scratch, load: false);
        code.Load(host, Address, offset, context.IsLong);
        homes.PutBack(guest, host);
        homes.MoveStackPointer(plan.Word, context.IsLong);
    }

    /// <summary>CMP or TEST with memory whose flags are to be made again: from what is there now.</summary>
    private void EmitKeptComparison(in Plan plan, int offset)
    {
        FlagSource source = Remake.Describe(in plan, kept: false);
        bool isFirst = plan.Instruction.Op0Kind == OpKind.Memory;
        if (plan.Treatment == FlagTreatment.Kept)
        {
            flags.Keep(in plan, isFirst ? 1 : 0, isFirst ? StateLayout.KeptSecond : StateLayout.KeptFirst);
        }

        if (source.Size <= 2)
        {
            code.LoadZeroExtended(Scratch, Address, offset, source.Size);
        }
        else
        {
            code.Load(Scratch, Address, offset, wide: source.Size == 8);
        }

        code.Store(GuestRegisters.State, isFirst ? StateLayout.KeptFirst : StateLayout.KeptSecond, Scratch);
        flagEmitter.Compare(isFirst ? source with { First = Scratch } : source with { Second = Scratch });
    }
}
