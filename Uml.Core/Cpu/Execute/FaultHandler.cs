using System.Runtime.InteropServices;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Emit;
using Uml.Core.Cpu.State;
using Uml.Core.Interop;

namespace Uml.Core.Cpu.Execute;

/// <summary>
/// A handler in front of .NET's for the signals of processor exceptions. A fault in emitted code is a defect of the translator: it is
/// recorded, and execution continues in the engine's recovery stub. All other signals are passed to the previous handler unchanged, so .NET
/// raises its NullReferenceException as usual.
/// </summary>
/// <remarks>
/// <para>Signal handlers belong to the process, and so do this handler and its table: they are created with the first engine, and stay. The
/// table is the only thing that engines of different machines share; each writes to its own slot only.</para>
/// <para>The handler is emitted code too. It runs on any thread, at any instruction, where no C# may run; it takes no lock and calls
/// nothing. A fault is an engine's when the instruction pointer is in its code memory or the stack pointer is in its state, where only
/// emitted code has it; the latter finds jumps out of code memory.</para>
/// </remarks>
internal static unsafe class FaultHandler
{
    private const int Illegal = 4, Trap = 5, Bus = 7, FloatingPoint = 8, Segmentation = 11;

    /// <summary>uc_mcontext.gregs of ucontext_t: behind flags, link and stack (sys/ucontext.h).</summary>
    private const int ContextRegisters = 40;
    private const int ContextRsp = ContextRegisters + (FaultSlot.RspIndex * 8);
    private const int ContextRip = ContextRegisters + (FaultSlot.RipIndex * 8);
    private const int ContextFlags = ContextRegisters + (FaultSlot.FlagsIndex * 8);

    /// <summary>Of siginfo_t (asm-generic/siginfo.h): what a process sent has a si_code of 0 or less.</summary>
    private const int InfoCode = 8, InfoAddress = 16;

    // Arguments of the handler (sigaction(2)), which are passed on unchanged to the previous one.
    private const int Signal = HostRegister.Rdi, Info = HostRegister.Rsi, Context = HostRegister.Rdx;

    private const int Slot = HostRegister.Rax, Count = HostRegister.Rcx, Rip = HostRegister.R8, StackPointer = HostRegister.R9,
        Version = HostRegister.R10, Temporary = HostRegister.R11;

    private static readonly int[] Signals = [Illegal, Trap, Bus, FloatingPoint, Segmentation];

    private static readonly FaultTable* Table;

    // With a static constructor nothing is installed before the first engine asks for a slot.
#pragma warning disable CA1810
    static FaultHandler() => Table = Install();
#pragma warning restore CA1810

    /// <summary>Takes a slot.</summary>
    /// <returns>Null when there are too many engines, or the host does not allow the handler.</returns>
    public static FaultSlot* Claim()
    {
        for (int i = 0; Table != null && i < FaultTable.Capacity; i++)
        {
            FaultSlot* slot = &Table->First + i;
            if (Volatile.Read(ref slot->Claimed) == 0 && Interlocked.CompareExchange(ref slot->Claimed, 1, 0) == 0)
            {
                int count;
                while ((count = Volatile.Read(ref Table->Count)) <= i && Interlocked.CompareExchange(ref Table->Count, i + 1, count) != count)
                {
                }

                return slot;
            }
        }

        return null;
    }

    private static FaultTable* Install()
    {
        GuardedMapping? memory = GuardedMapping.TryCreate(FaultTable.Size, Libc.ProtRead | Libc.ProtWrite);
        GuardedMapping? page = GuardedMapping.TryCreate((ulong)Environment.SystemPageSize, Libc.ProtRead | Libc.ProtWrite);
        if (memory is null || page is null)
        {
            return null;
        }

        FaultTable* table = (FaultTable*)memory.Pointer;
        HostAssembler code = new();
        code.Begin(page.Pointer);
        EmitHandler(code, table);
        if (Libc.Mprotect((nint)page.Pointer, (nuint)Environment.SystemPageSize, Libc.ProtRead | Libc.ProtExecute) != 0)
        {
            return null;
        }

        // SAFETY: both stay for as long as the process: the kernel and other handlers know their addresses.
        _ = GCHandle.Alloc(memory);
        _ = GCHandle.Alloc(page);
        bool all = true;
        foreach (int signal in Signals)
        {
            all &= TryPutInFront(table, signal, page.Pointer);
        }

        // Handlers that are installed already find an empty table and pass everything on.
        return all ? table : null;
    }

    /// <summary>Installs the handler in front of a signal's, with the stack and the mask of the previous one.</summary>
    /// <returns>False when the host does not allow it.</returns>
    private static bool TryPutInFront(FaultTable* table, int signal, byte* handler)
    {
        SignalAction action;
        if (Libc.Sigaction(signal, null, &action) != 0)
        {
            return false;
        }

        table->Previous[signal] = action.Handler;
        bool isHandled = action.Handler is not (SignalAction.Default or SignalAction.Ignore);
        action.Handler = (ulong)handler;
        action.Flags |= SignalAction.PassInfo | (isHandled ? 0 : SignalAction.OnAlternateStack | SignalAction.Restart);
        return Libc.Sigaction(signal, &action, null) == 0;
    }

    private static void EmitHandler(HostAssembler code, FaultTable* table)
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
        byte* found = EmitMatch(code, out byte*[] others);
        foreach (byte* other in others)
        {
            code.Bind(other);
        }

        code.ArithmeticImmediate(Arithmetic.Add, Slot, sizeof(FaultSlot));
        code.Jump(next);
        code.Bind(found);
        EmitRecord(code);
        code.Bind(sent);
        code.Bind(none);
        EmitPrevious(code, table);
    }

    /// <summary>Emits the check whether the fault is in the code of a slot's engine.</summary>
    /// <param name="others">The jumps taken when it is not.</param>
    /// <returns>The jump taken when it is.</returns>
    private static byte* EmitMatch(HostAssembler code, out byte*[] others)
    {
        code.Load(Version, Slot, FaultSlot.VersionOffset);
        code.TestImmediate(Version, 1);
        byte* free = code.JumpIf(Condition.E);
        byte* inCode = EmitIsWithin(code, Rip, FaultSlot.CodeOffset, FaultSlot.CodeLengthOffset);
        byte* onState = EmitIsWithin(code, StackPointer, FaultSlot.StateOffset, FaultSlot.StateLengthOffset);
        byte* outside = code.Jump();
        code.Bind(inCode);
        code.Bind(onState);
        code.Load(Temporary, Slot, FaultSlot.StateOffset);
        code.ArithmeticMemory(Arithmetic.Cmp, Version, Slot, FaultSlot.VersionOffset);
        byte* changed = code.JumpIf(Condition.Ne);

        // Recovery needs a host stack to return to, and no earlier fault: a second one is a fault of the recovery itself.
        code.ArithmeticMemoryImmediate(Arithmetic.Cmp, Temporary, StateLayout.HostStack + StateLayout.Bias, 0);
        byte* notEntered = code.JumpIf(Condition.E);
        code.ArithmeticMemoryImmediate(Arithmetic.Cmp, Slot, FaultSlot.SignalOffset, 0, wide: false);
        byte* found = code.JumpIf(Condition.E);
        others = [free, outside, changed, notEntered];
        return found;
    }

    /// <returns>The jump taken when an address is in a range.</returns>
    private static byte* EmitIsWithin(HostAssembler code, int address, int start, int length)
    {
        code.Move(Temporary, address);
        code.ArithmeticMemory(Arithmetic.Sub, Temporary, Slot, start);
        code.ArithmeticMemory(Arithmetic.Cmp, Temporary, Slot, length);
        return code.JumpIf(Condition.B);
    }

    /// <summary>Records the fault, and returns from the signal to the recovery stub. The state's address is in the temporary register.</summary>
    private static void EmitRecord(HostAssembler code)
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
        code.Repeat(0xA4, sizeof(ulong)); // movs: DF is clear in a handler (System V ABI for x86-64, 3.2.1)
        code.Load(Temporary, Slot, FaultSlot.RecoveryOffset);
        code.Store(StackPointer, ContextRip, Temporary);
        code.StoreImmediate(StackPointer, ContextFlags, (int)(Flags.Fixed1 | Flags.IF));
        code.Return();
    }

    /// <summary>Jumps to the previous handler, or does the kernel's default action if there was none.</summary>
    private static void EmitPrevious(HostAssembler code, FaultTable* table)
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
        EmitDefault(code);
    }

    /// <summary>Makes the signal's action the default one, and sends it again: it comes when the handler returns.</summary>
    private static void EmitDefault(HostAssembler code)
    {
        const int rtSigaction = 13, getPid = 39, getThread = 186, threadKill = 234;
        code.Move(StackPointer, Signal);
        code.LoadAddress(Info, Version, FaultTable.DefaultActionOffset);
        code.ArithmeticRegister(Arithmetic.Xor, Context, Context, wide: false);
        code.MoveImmediate(Version, sizeof(ulong)); // size of the mask
        EmitSystemCall(code, rtSigaction);
        EmitSystemCall(code, getPid);
        code.Move(Rip, HostRegister.Rax);
        EmitSystemCall(code, getThread);
        code.Move(HostRegister.Rdi, Rip);
        code.Move(HostRegister.Rsi, HostRegister.Rax);
        code.Move(HostRegister.Rdx, StackPointer);
        EmitSystemCall(code, threadKill);
        code.Return();
    }

    private static void EmitSystemCall(HostAssembler code, int number)
    {
        code.MoveImmediate(HostRegister.Rax, number);
        code.Byte(0x0F);
        code.Byte(0x05);
    }
}
