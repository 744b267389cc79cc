using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.State;

namespace Uml.Core.Cpu.Translate;

/// <summary>What kernels do all the time: interrupts off and on, flags to the stack, bit strings, GS.</summary>
internal sealed unsafe partial class BlockTranslator
{
    /// <summary>CLI at CPL 0.</summary>
    private void EmitClearInterrupt(int index)
    {
        byte* other = EmitSupervisorCheck();
        _code.ArithmeticMemoryImmediate(Arithmetic.And, GuestRegisters.State, StateLayout.SystemFlags, ~(int)Flags.IF);
        AddHandlerFor(index, (nint)other);
    }

    /// <summary>STI at CPL 0 in the middle of a block, where nothing waits: the next instruction cannot be interrupted anyway.</summary>
    private void EmitSetInterrupt(int index)
    {
        byte* other = EmitSupervisorCheck();
        _code.Load(GuestRegisters.Scratch, GuestRegisters.State, StateLayout.InterruptLine, wide: false);
        _code.Memory(0x0B, GuestRegisters.Scratch, GuestRegisters.State, StateLayout.Poll, wide: false); // or
        byte* waiting = _code.JumpIf(Condition.Ne);
        _code.ArithmeticMemoryImmediate(Arithmetic.Or, GuestRegisters.State, StateLayout.SystemFlags, (int)Flags.IF);
        AddHandlerFor(index, (nint)other, (nint)waiting);
    }

    private byte* EmitSupervisorCheck()
    {
        _code.Memory(0x80, Arithmetic.Cmp, GuestRegisters.State, StateLayout.Cpl, wide: false);
        _code.Byte(0);
        return _code.JumpIf(Condition.Ne);
    }

    /// <summary>SWAPGS at CPL 0.</summary>
    private void EmitSwapGs(int index)
    {
        int gs = StateLayout.SegmentBase(SegmentIndex.Gs);
        byte* other = EmitSupervisorCheck();
        _code.Load(GuestRegisters.Scratch, GuestRegisters.State, gs);
        _code.Load(GuestRegisters.Address, GuestRegisters.State, StateLayout.KernelGsBase);
        _code.Store(GuestRegisters.State, gs, GuestRegisters.Address);
        _code.Store(GuestRegisters.State, StateLayout.KernelGsBase, GuestRegisters.Scratch);
        AddHandlerFor(index, (nint)other);
    }

    /// <summary>MOV of a segment register to a general one of 32 or 64 bits.</summary>
    private void EmitReadSegment(in Plan plan)
    {
        int guest = plan.Encoding.Rm;
        int host = Home(guest, GuestRegisters.Scratch, load: false);
        _code.LoadZeroExtended16(host, GuestRegisters.State, StateLayout.SegmentSelector((SegmentIndex)plan.Encoding.Reg));
        PutBack(guest, host);
    }

    /// <summary>
    /// RDTSC and RDTSCP, while the scale from the host's counter holds (see <see cref="TimeStampScale"/>). The guest's registers are as
    /// they were when it does not.
    /// </summary>
    private void EmitTimeStamp(int index)
    {
        bool isOrdered = _plans[index].Instruction.Code == Iced.Intel.Code.Rdtscp;
        _code.Move(GuestRegisters.Scratch, GuestRegisters.Rax);
        _code.Move(GuestRegisters.Address, GuestRegisters.Rdx);
        if (isOrdered)
        {
            _code.LoadFence();
        }

        _code.ReadTimeStamp();
        _code.Move(GuestRegisters.Rdx, GuestRegisters.Address);
        _code.Move(GuestRegisters.Address, HostRegister.Rax);
        _code.Move(GuestRegisters.Rax, GuestRegisters.Scratch);
        _code.ArithmeticMemory(Arithmetic.Sub, GuestRegisters.Address, GuestRegisters.State, StateLayout.TimeStampBase);
        _code.ArithmeticMemory(Arithmetic.Cmp, GuestRegisters.Address, GuestRegisters.State, StateLayout.TimeStampLimit);
        byte* over = _code.JumpIf(Condition.Ae);
        _code.MultiplyMemory(GuestRegisters.Address, GuestRegisters.State, StateLayout.TimeStampMultiplier);
        _code.ShiftRight(GuestRegisters.Address, 32);
        _code.ArithmeticMemory(Arithmetic.Add, GuestRegisters.Address, GuestRegisters.State, StateLayout.TimeStampValue);
        _code.ArithmeticMemory(Arithmetic.Add, GuestRegisters.Address, GuestRegisters.State, StateLayout.TscAdjust);
        _code.Move(GuestRegisters.Rax, GuestRegisters.Address, wide: false);
        _code.ShiftRight(GuestRegisters.Address, 32);
        _code.Move(GuestRegisters.Rdx, GuestRegisters.Address);
        if (isOrdered)
        {
            _code.Load(GuestRegisters.Rcx, GuestRegisters.State, StateLayout.TscAux, wide: false);
        }

        AddHandlerFor(index, (nint)over);
    }

    /// <summary>PUSHF: flags are saved in an order that is that of RFLAGS but for OF.</summary>
    private void EmitPushFlags(int index)
    {
        EnsureSaved(_savedFlags, _hostFlags, in _source);
        FlagsAreSaved();

        const int status = (int)(Flags.Status & 0xFF);
        _code.LoadZeroExtended(GuestRegisters.Scratch, GuestRegisters.State, StateLayout.FlagWord + 1, 1);
        _code.ArithmeticImmediate(Arithmetic.And, GuestRegisters.Scratch, status, wide: false);
        _code.ArithmeticMemory(Arithmetic.Or, GuestRegisters.Scratch, GuestRegisters.State, StateLayout.SystemFlags);
        _code.Load(GuestRegisters.Address, GuestRegisters.State, StateLayout.FlagWord, wide: false);
        _code.ArithmeticImmediate(Arithmetic.And, GuestRegisters.Address, 1, wide: false);
        _code.ShiftLeft(GuestRegisters.Address, 11, wide: false);
        _code.ArithmeticRegister(Arithmetic.Or, GuestRegisters.Scratch, GuestRegisters.Address);
        _code.ArithmeticImmediate(Arithmetic.And, GuestRegisters.Scratch, ~(int)(Flags.VM | Flags.RF));
        EmitPushSpilled(index);
    }

    /// <summary>PUSH of memory.</summary>
    private void EmitPushMemory(int index)
    {
        EmitLinear(in _plans[index]);
        int cold = EmitProbe(index);
        _code.Load(GuestRegisters.Scratch, GuestRegisters.Address, 0, IsLong);
        EndAccess(cold);
        EmitPushSpilled(index);
    }

    /// <summary>Pushes the scratch register.</summary>
    private void EmitPushSpilled(int index)
    {
        _code.Store(GuestRegisters.State, StateLayout.Spill, GuestRegisters.Scratch);
        EmitPushAccess(index);
        MoveStackPointer(-_plans[index].Word);
    }

    /// <summary>BT of a bit string in memory: the word that has the bit, then the bit by the rest of the index.</summary>
    private void EmitBitTest(int index)
    {
        ref Plan plan = ref _plans[index];
        bool wide = plan.Encoding.Wide;
        int bit = GuestRegisters.Host(plan.Encoding.Reg);
        EmitLinear(in plan);
        if (wide)
        {
            _code.Move(GuestRegisters.Scratch, bit);
        }
        else
        {
            _code.Register(0x63, GuestRegisters.Scratch, bit); // movsxd
        }

        _code.Register(0xC1, 7, GuestRegisters.Scratch); // sar
        _code.Byte(wide ? 6 : 5);
        _code.LoadAddress(GuestRegisters.Address, GuestRegisters.Address, GuestRegisters.Scratch, wide ? 3 : 2, 0, IsLong);
        int cold = EmitProbe(index);
        _code.Memory(0x8B, GuestRegisters.Scratch, GuestRegisters.Address, 0, wide);
        EndAccess(cold);
        if (plan.Needs != Iced.Intel.RflagsBits.None && _source.IsNone)
        {
            LoadFlags(GuestRegisters.Address);
        }
        else if (plan.Needs != Iced.Intel.RflagsBits.None)
        {
            _code.Store(GuestRegisters.State, StateLayout.Spill, GuestRegisters.Scratch);
            RemakeFlags(in _source);
            _code.Load(GuestRegisters.Scratch, GuestRegisters.State, StateLayout.Spill);
        }

        _code.Rex(wide, bit, 0, GuestRegisters.Scratch);
        _code.Byte(0x0F);
        _code.Byte(0xA3);
        _code.ModRmRegister(bit, GuestRegisters.Scratch);
    }
}
