using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Emit;

namespace Uml.Core.Cpu.Translate;

/// <summary>Instructions on the stack. RSP changes last, so that a fault leaves it as it was.</summary>
/// <param name="code">Writes it.</param>
/// <param name="homes">Moves the stack pointer.</param>
/// <param name="access">Accesses the stack.</param>
/// <param name="groups">Accesses it where that was looked up before.</param>
/// <param name="context">The block.</param>
internal sealed class StackEmitter(HostAssembler code, RegisterHomes homes, AccessEmitter access, GroupEmitter groups, BlockContext context)
{
    private const int Scratch = GuestRegisters.Scratch, Address = GuestRegisters.Address;

    /// <summary>PUSH of a register or an immediate.</summary>
    public void EmitPush(int index)
    {
        EmitPushAccess(index);
        MovePointer(-context[index].Word);
    }

    /// <summary>PUSH of memory.</summary>
    public void EmitPushMemory(int index)
    {
        access.EmitLoad(index, Scratch, context.IsLong);
        EmitPushScratch(index);
    }

    /// <summary>Pushes the scratch register.</summary>
    public void EmitPushScratch(int index)
    {
        code.Store(GuestRegisters.State, StateLayout.Spill, Scratch);
        EmitPush(index);
    }

    /// <summary>The return address of a CALL, at the end of a block.</summary>
    public void EmitPushReturn(int index)
    {
        EmitPushAccess(index);
        groups.EndAt(index);
        MovePointer(-context[index].Word);
    }

    /// <summary>The target of a return, at the end of a block, into the address register. RSP stays.</summary>
    public void EmitLoadReturn(int index)
    {
        EmitTop(index);
        groups.EndAt(index);
    }

    /// <summary>The memory access of a push or a call.</summary>
    public void EmitPushAccess(int index)
    {
        ref Plan plan = ref context[index];
        if (!groups.TryEmitMember(in plan))
        {
            code.LoadAddress(Address, GuestRegisters.StackPointer, -plan.Word, context.IsLong);
            access.EmitStackOperation(index, OperandUse.Write);
        }
    }

    /// <summary>An instruction that takes the top of the stack: POP, or the target of a return.</summary>
    public void EmitTop(int index)
    {
        if (!groups.TryEmitMember(in context[index]))
        {
            code.Move(Address, GuestRegisters.StackPointer, context.IsLong);
            access.EmitStackOperation(index, OperandUse.Read);
        }
    }

    /// <summary>LEAVE: RSP := RBP, POP RBP.</summary>
    public void EmitLeaveFrame(int index)
    {
        code.Move(Address, HostRegister.Rbp, context.IsLong);
        access.EmitStackOperation(index, OperandUse.Read);
        code.LoadAddress(GuestRegisters.StackPointer, HostRegister.Rbp, context[index].Word, context.IsLong);
        code.Move(HostRegister.Rbp, Scratch);
    }

    /// <summary>Flags stay.</summary>
    public void MovePointer(int by) => homes.MoveStackPointer(by, context.IsLong);
}
