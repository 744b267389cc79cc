using Uml.Core.Cpu.CodeCache;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Emit;

namespace Uml.Core.Cpu.Translate;

/// <summary>Jumps and calls to a computed target, and returns: the target is looked up in the jump table.</summary>
/// <param name="code">Writes it.</param>
/// <param name="calls">Calls stubs.</param>
/// <param name="homes">Brings registers that are kept in the state.</param>
/// <param name="access">Loads targets.</param>
/// <param name="stack">Pushes and pops return addresses.</param>
/// <param name="handlers">Does a jump whose target is not found.</param>
/// <param name="jumpTable">Looks targets up.</param>
/// <param name="context">The block.</param>
internal sealed unsafe class ComputedJumpEmitter(
    HostAssembler code,
    StubCalls calls,
    RegisterHomes homes,
    AccessEmitter access,
    StackEmitter stack,
    HandlerEmitter handlers,
    JumpTableEmitter jumpTable,
    BlockContext context)
{
    // SAFETY: pointers are positions in the block that is emitted. A site stays where it is in the table.
    private const int Scratch = GuestRegisters.Scratch, Address = GuestRegisters.Address;

    /// <summary>JMP to a computed target.</summary>
    public void EmitJump(int index)
    {
        EmitFindTarget(index);
        jumpTable.EmitEnterFound();
    }

    /// <summary>CALL of a computed target, which is looked up first: the handler does all of the instruction when it is not found.</summary>
    public void EmitCall(int index)
    {
        EmitFindTarget(index);
        code.Load(Scratch, Scratch, JumpTables.CodeOffset(context.Flavor));
        code.Store(GuestRegisters.State, StateLayout.Spill, Scratch);
        code.Store(GuestRegisters.State, StateLayout.SecondSpill, Address);
        stack.EmitPush(index);
        code.Load(Scratch, GuestRegisters.State, StateLayout.SecondSpill);
        jumpTable.EmitNotePage(Scratch);
        code.JumpMemory(GuestRegisters.State, StateLayout.Spill);
    }

    /// <summary>RET.</summary>
    public void EmitReturn(int index)
    {
        ref Plan plan = ref context[index];
        stack.EmitLoadReturn(index);
        byte* lookup = code.Position;
        jumpTable.EmitLookup();
        handlers.AddReturnMiss(index, code.JumpIf(Condition.Ne), lookup);
        int arguments = plan.Instruction.OpCount != 0 ? plan.Instruction.Immediate16 : 0;
        stack.MovePointer(plan.Word + arguments);
        jumpTable.EmitEnterFound();
    }

    /// <summary>A computed jump whose target is not in the jump table.</summary>
    public void EmitMiss(in HandlerEmitter.ColdHandler cold)
    {
        Site* site = calls.Lookup();
        site->Form = context[cold.Index].Form;
        if (cold.Retry != null)
        {
            code.Jump(cold.Retry);
        }
        else
        {
            stack.EmitTop(cold.Index);
            code.Jump(cold.Lookup);
        }

        calls.MarkUnlinked(site);
        handlers.Emit(cold.Index);

        // The handler of a jump goes on elsewhere.
        code.Trap();
    }

    /// <summary>The computed target of a jump or call, into the address register, and its entry in the jump table, into the scratch register.</summary>
    private void EmitFindTarget(int index)
    {
        byte* start = code.Position;
        ref Plan plan = ref context[index];
        if (plan.Encoding.IsMemory)
        {
            access.EmitLoad(index, Address, context.IsLong);
        }
        else if (homes.Use(plan.Encoding.Rm, Address, load: true) is var host and not Address)
        {
            code.Move(Address, host, context.IsLong);
        }

        jumpTable.EmitLookup();
        handlers.AddMiss(index, code.JumpIf(Condition.Ne), start);
    }
}
