using Iced.Intel;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Emit;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Translate;

/// <summary>What kernels do all the time: interrupts off and on, flags to the stack, GS, the time; and repeated strings and FLDCW.</summary>
/// <param name="code">Writes it.</param>
/// <param name="calls">Calls stubs.</param>
/// <param name="homes">Brings registers that are kept in the state.</param>
/// <param name="flags">Knows where the flags are.</param>
/// <param name="access">Accesses memory.</param>
/// <param name="stack">Pushes flags.</param>
/// <param name="handlers">Does the cases that are out of the ordinary.</param>
/// <param name="context">The block.</param>
internal sealed unsafe class SystemEmitter(
    HostAssembler code,
    StubCalls calls,
    RegisterHomes homes,
    FlagTracker flags,
    AccessEmitter access,
    StackEmitter stack,
    HandlerEmitter handlers,
    BlockContext context)
{
    // SAFETY: pointers are positions in the block that is emitted.
    private const int Scratch = GuestRegisters.Scratch, Address = GuestRegisters.Address;

    /// <summary>CLI at CPL 0.</summary>
    public void EmitClearInterrupt(int index)
    {
        byte* other = EmitSupervisorCheck();
        code.ArithmeticMemoryImmediate(Arithmetic.And, GuestRegisters.State, StateLayout.SystemFlags, ~(int)Flags.IF);
        handlers.Add(index, (nint)other);
    }

    /// <summary>STI at CPL 0 in the middle of a block, where nothing waits: the next instruction cannot be interrupted anyway.</summary>
    public void EmitSetInterrupt(int index)
    {
        byte* other = EmitSupervisorCheck();
        code.Load(Scratch, GuestRegisters.State, StateLayout.InterruptLine, wide: false);
        code.ArithmeticMemory(Arithmetic.Or, Scratch, GuestRegisters.State, StateLayout.Poll, wide: false);
        byte* waiting = code.JumpIf(Condition.Ne);
        code.ArithmeticMemoryImmediate(Arithmetic.Or, GuestRegisters.State, StateLayout.SystemFlags, (int)Flags.IF);
        handlers.Add(index, (nint)other, (nint)waiting);
    }

    /// <summary>SWAPGS at CPL 0.</summary>
    public void EmitSwapGs(int index)
    {
        int gs = StateLayout.SegmentBase(SegmentIndex.Gs);
        byte* other = EmitSupervisorCheck();
        code.Load(Scratch, GuestRegisters.State, gs);
        code.Load(Address, GuestRegisters.State, StateLayout.KernelGsBase);
        code.Store(GuestRegisters.State, gs, Address);
        code.Store(GuestRegisters.State, StateLayout.KernelGsBase, Scratch);
        handlers.Add(index, (nint)other);
    }

    /// <summary>MOV of a segment register to a general one of 32 or 64 bits.</summary>
    public void EmitReadSegment(int index)
    {
        ref readonly Encoding e = ref context[index].Encoding;
        int host = homes.Use(e.Rm, Scratch, load: false);
        code.LoadZeroExtended16(host, GuestRegisters.State, StateLayout.SegmentSelector((SegmentIndex)e.Reg));
        homes.PutBack(e.Rm, host);
    }

    /// <summary>
    /// RDTSC and RDTSCP, while the scale from the host's counter holds (see <see cref="TimeStampScale"/>). The guest's registers are as
    /// they were when it does not.
    /// </summary>
    public void EmitTimeStamp(int index)
    {
        bool isOrdered = context[index].Instruction.Code == Code.Rdtscp;
        code.Move(Scratch, GuestRegisters.Rax);
        code.Move(Address, GuestRegisters.Rdx);
        if (isOrdered)
        {
            code.LoadFence();
        }

        code.ReadTimeStamp();
        code.Move(GuestRegisters.Rdx, Address);
        code.Move(Address, HostRegister.Rax);
        code.Move(GuestRegisters.Rax, Scratch);
        code.ArithmeticMemory(Arithmetic.Sub, Address, GuestRegisters.State, StateLayout.TimeStampBase);
        code.ArithmeticMemory(Arithmetic.Cmp, Address, GuestRegisters.State, StateLayout.TimeStampLimit);
        byte* over = code.JumpIf(Condition.Ae);
        code.MultiplyMemory(Address, GuestRegisters.State, StateLayout.TimeStampMultiplier);
        code.ShiftRight(Address, 32);
        code.ArithmeticMemory(Arithmetic.Add, Address, GuestRegisters.State, StateLayout.TimeStampValue);
        code.ArithmeticMemory(Arithmetic.Add, Address, GuestRegisters.State, StateLayout.TscAdjust);
        code.Move(GuestRegisters.Rax, Address, wide: false);
        code.ShiftRight(Address, 32);
        code.Move(GuestRegisters.Rdx, Address);
        if (isOrdered)
        {
            code.Load(GuestRegisters.Rcx, GuestRegisters.State, StateLayout.TscAux, wide: false);
        }

        handlers.Add(index, (nint)over);
    }

    /// <summary>PUSHF: flags are saved in an order that is that of RFLAGS but for OF.</summary>
    public void EmitPushFlags(int index)
    {
        flags.EnsureSaved(in flags.Now);
        flags.NoteSaved();

        const int status = (int)(Flags.Status & 0xFF);
        code.LoadZeroExtended(Scratch, GuestRegisters.State, StateLayout.FlagWord + 1, 1);
        code.ArithmeticImmediate(Arithmetic.And, Scratch, status, wide: false);
        code.ArithmeticMemory(Arithmetic.Or, Scratch, GuestRegisters.State, StateLayout.SystemFlags);
        code.Load(Address, GuestRegisters.State, StateLayout.FlagWord, wide: false);
        code.ArithmeticImmediate(Arithmetic.And, Address, 1, wide: false);
        code.ShiftLeft(Address, 11, wide: false);
        code.ArithmeticRegister(Arithmetic.Or, Scratch, Address);
        code.ArithmeticImmediate(Arithmetic.And, Scratch, ~(int)(Flags.VM | Flags.RF));
        stack.EmitPushScratch(index);
    }

    /// <summary>REP MOVS or REP STOS: the host's own, if it is an ordinary one (see <see cref="EmittedStrings"/>), else the handler.</summary>
    public void EmitString(int index)
    {
        ref Plan plan = ref context[index];
        calls.String(plan.Form == Form.StringMove, plan.MemorySize);
        handlers.Add(index, (nint)code.JumpIf(Condition.Ne));
    }

    /// <summary>FLDCW. A control word that unmasks an exception goes to the interpreter, and what follows with it.</summary>
    public void EmitLoadControlWord(int index)
    {
        int cold = access.EmitProbe(index);

        // Guest memory is read once, and what goes to the host's unit has all exceptions masked whatever was there.
        code.LoadZeroExtended16(Scratch, Address, 0);
        code.Move(Address, Scratch, wide: false);
        code.ArithmeticImmediate(Arithmetic.Or, Address, X87State.ExceptionMasks, wide: false);
        code.ArithmeticRegister(Arithmetic.Cmp, Scratch, Address, wide: false);
        byte* unmasks = code.JumpIf(Condition.Ne);
        code.Store(GuestRegisters.State, StateLayout.Spill, Address);
        code.LoadX87ControlWord(GuestRegisters.State, StateLayout.Spill);
        access.End(cold);
        handlers.Add(index, (nint)unmasks);
    }

    private byte* EmitSupervisorCheck()
    {
        code.CompareMemoryByte(GuestRegisters.State, StateLayout.Cpl, 0);
        return code.JumpIf(Condition.Ne);
    }
}
