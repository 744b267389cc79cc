using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.State;
using Uml.Core.Interop;

namespace Uml.Core.Cpu.Emit;

/// <summary>
/// Emits the signal handler for faults of emitted code: it records the fault, and goes on in the recovery stub of the engine. What is no
/// engine's goes to the handler that was there before.
/// </summary>
/// <remarks>
/// It runs where no C# may: on any thread, in the middle of anything. It takes no lock and calls nothing. It knows a fault of an engine
/// by the instruction pointer in code memory, or the stack pointer in the state, which nothing else has there; the latter finds jumps out
/// of code memory.
/// </remarks>
/// <param name="code">Writes it.</param>
/// <param name="table">What it looks at and writes.</param>
internal sealed unsafe class EmittedFaultHandler(HostAssembler code, FaultTable* table)
{
    /// <summary>uc_mcontext.gregs of ucontext_t: behind flags, link and stack (sys/ucontext.h).</summary>
    private const int ContextRegisters = 40;
    private const int ContextRsp = ContextRegisters + (FaultSlot.RspIndex * 8);
    private const int ContextRip = ContextRegisters + (FaultSlot.RipIndex * 8);
    private const int ContextFlags = ContextRegisters + (FaultSlot.FlagsIndex * 8);

    /// <summary>Of siginfo_t (asm-generic/siginfo.h): what a process sent has a si_code of 0 or less.</summary>
    private const int InfoCode = 8, InfoAddress = 16;

    // SAFETY: the table is never freed; it is the one address in the code. Pointers besides are positions in the assembler's memory.

    // Arguments of the handler (sigaction(2)), which the handler before gets as they were.
    private const int Signal = HostRegister.Rdi, Info = HostRegister.Rsi, Context = HostRegister.Rdx;

    private const int Slot = HostRegister.Rax, Count = HostRegister.Rcx, Rip = HostRegister.R8, StackPointer = HostRegister.R9,
        Version = HostRegister.R10, Temporary = HostRegister.R11;

    /// <summary>Emits the handler at the assembler's position.</summary>
    public void Emit()
    {
        code.ArithmeticMemoryImmediate(Arithmetic.Cmp, Info, InfoCode, 0, wide: false);
        byte* sent = code.JumpIf(Condition.Le);
        code.Load(Rip, Context, ContextRip);
        code.Load(StackPointer, Context, ContextRsp);
        code.MoveImmediate(Temporary, (long)table);
        code.Load(Count, Temporary, FaultTable.CountOffset, wide: false);
        code.LoadAddress(Slot, Temporary, FaultTable.FirstOffset);
        byte* next = code.Position;
        code.ArithmeticImmediate(Arithmetic.Sub, Count, 1, wide: false);
        byte* none = code.JumpIf(Condition.S);
        byte* found = EmitMatch(out byte*[] others);
        foreach (byte* other in others)
        {
            code.Bind(other);
        }

        code.ArithmeticImmediate(Arithmetic.Add, Slot, sizeof(FaultSlot));
        code.Jump(next);
        code.Bind(found);
        EmitRecord();
        code.Bind(sent);
        code.Bind(none);
        EmitPrevious();
    }

    /// <summary>Looks whether the fault is of a slot's engine.</summary>
    /// <param name="others">The jumps taken when it is not.</param>
    /// <returns>The jump taken when it is.</returns>
    private byte* EmitMatch(out byte*[] others)
    {
        code.Load(Version, Slot, FaultSlot.VersionOffset);
        code.TestImmediate(Version, 1);
        byte* free = code.JumpIf(Condition.E);
        byte* inCode = EmitIsWithin(Rip, FaultSlot.CodeOffset, FaultSlot.CodeLengthOffset);
        byte* onState = EmitIsWithin(StackPointer, FaultSlot.StateOffset, FaultSlot.StateLengthOffset);
        byte* outside = code.Jump();
        code.Bind(inCode);
        code.Bind(onState);
        code.Load(Temporary, Slot, FaultSlot.StateOffset);
        code.ArithmeticMemory(Arithmetic.Cmp, Version, Slot, FaultSlot.VersionOffset);
        byte* changed = code.JumpIf(Condition.Ne);

        // There has to be a way out, and only one fault: another is one of the recovery.
        code.ArithmeticMemoryImmediate(Arithmetic.Cmp, Temporary, StateLayout.HostStack + StateLayout.Bias, 0);
        byte* notEntered = code.JumpIf(Condition.E);
        code.ArithmeticMemoryImmediate(Arithmetic.Cmp, Slot, FaultSlot.SignalOffset, 0, wide: false);
        byte* found = code.JumpIf(Condition.E);
        others = [free, outside, changed, notEntered];
        return found;
    }

    /// <returns>The jump taken when an address is in a range.</returns>
    private byte* EmitIsWithin(int address, int start, int length)
    {
        code.Move(Temporary, address);
        code.ArithmeticMemory(Arithmetic.Sub, Temporary, Slot, start);
        code.ArithmeticMemory(Arithmetic.Cmp, Temporary, Slot, length);
        return code.JumpIf(Condition.B);
    }

    /// <summary>Records the fault, and returns from the signal to the recovery stub. The state's address is in the temporary register.</summary>
    private void EmitRecord()
    {
        code.Store(Slot, FaultSlot.SignalOffset, Signal, wide: false);
        code.Load(Temporary, Temporary, StateLayout.Bias - sizeof(ulong));
        code.Store(Slot, FaultSlot.CallerOffset, Temporary);
        code.Load(Temporary, Info, InfoCode, wide: false);
        code.Store(Slot, FaultSlot.SignalCodeOffset, Temporary, wide: false);
        code.Load(Temporary, Info, InfoAddress);
        code.Store(Slot, FaultSlot.AddressOffset, Temporary);
        code.Move(StackPointer, Context);
        code.LoadAddress(Info, Context, ContextRegisters);
        code.LoadAddress(Signal, Slot, FaultSlot.RegistersOffset);
        code.MoveImmediate(Count, FaultSlot.RegisterCount);
        
        // DF is clear in a handler (System V ABI for x86-64, 3.2.1).
        code.RepeatMove(sizeof(ulong));
        code.Load(Temporary, Slot, FaultSlot.RecoveryOffset);
        code.Store(StackPointer, ContextRip, Temporary);
        code.StoreImmediate(StackPointer, ContextFlags, (int)(Flags.Fixed1 | Flags.IF));
        code.Return();
    }

    /// <summary>Goes to the handler that was there before, or does what the kernel would have done without one.</summary>
    private void EmitPrevious()
    {
        code.MoveImmediate(Version, (long)table);
        code.Move(Slot, Signal, wide: false);
        code.LoadAddress(Temporary, Version, Slot, 3, FaultTable.PreviousOffset);
        code.Load(Temporary, Temporary, 0);
        code.ArithmeticImmediate(Arithmetic.Cmp, Temporary, (int)SignalAction.Ignore);
        byte* unhandled = code.JumpIf(Condition.Be);
        code.JumpRegister(Temporary);
        code.Bind(unhandled);
        byte* byDefault = code.JumpIf(Condition.B);

        // A fault cannot be ignored (signal(7)).
        code.ArithmeticMemoryImmediate(Arithmetic.Cmp, Info, InfoCode, 0, wide: false);
        byte* raised = code.JumpIf(Condition.G);
        code.Return();
        code.Bind(byDefault);
        code.Bind(raised);
        EmitDefault();
    }

    /// <summary>Makes the signal's action the default one, and sends it again: it comes when the handler returns.</summary>
    private void EmitDefault()
    {
        const int rtSigaction = 13, getPid = 39, getThread = 186, threadKill = 234;
        code.Move(StackPointer, Signal);
        code.LoadAddress(Info, Version, FaultTable.DefaultActionOffset);
        code.ArithmeticRegister(Arithmetic.Xor, Context, Context, wide: false);
        code.MoveImmediate(Version, sizeof(ulong)); // size of the mask
        EmitSystemCall(rtSigaction);
        EmitSystemCall(getPid);
        code.Move(Rip, HostRegister.Rax);
        EmitSystemCall(getThread);
        code.Move(HostRegister.Rdi, Rip);
        code.Move(HostRegister.Rsi, HostRegister.Rax);
        code.Move(HostRegister.Rdx, StackPointer);
        EmitSystemCall(threadKill);
        code.Return();
    }

    private void EmitSystemCall(int number)
    {
        code.MoveImmediate(HostRegister.Rax, number);
        code.SystemCall();
    }
}
