using System.Runtime.InteropServices;
using Uml.Core.Cpu.Contract;
using Uml.Core.Cpu.Emit;
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
/// <para>The handler is emitted code too (<see cref="EmittedFaultHandler"/>): it runs where no C# may run.</para>
/// </remarks>
internal static unsafe class FaultHandler
{
    private const int Illegal = 4, Trap = 5, Bus = 7, FloatingPoint = 8, Segmentation = 11;

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
        new EmittedFaultHandler(code, table).Emit();
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
}
