using System.Runtime.InteropServices;

namespace Uml.Core.Cpu.Contract;

/// <summary>The data of the signal handler, in unmanaged memory that is never freed. Emitted code uses the offsets of its fields.</summary>
// SAFETY: FaultHandler keeps one table for the life of the process, with Capacity slots behind First. The signal handler indexes them below
// Count; Measure computes addresses and never follows them.
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct FaultTable
{
    /// <summary>The most engines with a slot; further ones run without fault handling.</summary>
    public const int Capacity = 4096;

    /// <summary>Signal numbers of Linux that have a handler of their own end here.</summary>
    public const int Signals = 32;

    /// <summary>Slots that were ever used, which are those that the handler searches.</summary>
    public int Count;

    /// <summary>struct kernel_sigaction of SIG_DFL, all zero: handler, flags, restorer, mask.</summary>
    public fixed ulong DefaultAction[4];

    /// <summary>The previous handlers, by signal.</summary>
    public fixed ulong Previous[Signals];

    /// <summary>The first slot.</summary>
    public FaultSlot First;

    public static readonly int CountOffset = Measure(static table => &table->Count);
    public static readonly int DefaultActionOffset = Measure(static table => table->DefaultAction);
    public static readonly int PreviousOffset = Measure(static table => table->Previous);
    public static readonly int FirstOffset = Measure(static table => &table->First);

    public static ulong Size => (ulong)(sizeof(FaultTable) + (Capacity * sizeof(FaultSlot)));

    private delegate void* FieldAddress(FaultTable* table);

    private static int Measure(FieldAddress field)
    {
        FaultTable table;
        return (int)((byte*)field(&table) - (byte*)&table);
    }
}

/// <summary>Where one engine's emitted code and state are, how it recovers, and the fault that it took.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct FaultSlot
{
    public const int RegisterCount = 23;

    /// <summary>
    /// A sequence lock: odd while the next five fields are valid. A handler on another thread uses what it read of them only if this has
    /// not changed.
    /// </summary>
    public ulong Version;

    /// <summary>Code memory as it is executed.</summary>
    public byte* Code;
    public ulong CodeLength;

    /// <summary>The state, which the stack pointer points into while emitted code runs.</summary>
    public byte* State;
    public ulong StateLength;

    /// <summary>Where execution continues after a fault.</summary>
    public byte* Recovery;

    /// <summary>Not zero: an engine has this slot.</summary>
    public int Claimed;

    /// <summary>The signal of the fault; 0 while there was none.</summary>
    public int Signal;

    /// <summary>si_code and si_addr (sigaction(2)).</summary>
    public int SignalCode;
    public ulong Address;

    /// <summary>The word at the top of the stack: the return address, if the fault was in a stub.</summary>
    public ulong Caller;

    /// <summary>gregs of the ucontext (sys/ucontext.h): R8 to R15, RDI, RSI, RBP, RBX, RDX, RAX, RCX, RSP, RIP, EFLAGS and others.</summary>
    public fixed ulong Registers[RegisterCount];

    public const int RspIndex = 15, RipIndex = 16, FlagsIndex = 17, TrapIndex = 20;

    public static readonly int VersionOffset = Measure(static slot => &slot->Version);
    public static readonly int CodeOffset = Measure(static slot => &slot->Code);
    public static readonly int CodeLengthOffset = Measure(static slot => &slot->CodeLength);
    public static readonly int StateOffset = Measure(static slot => &slot->State);
    public static readonly int StateLengthOffset = Measure(static slot => &slot->StateLength);
    public static readonly int RecoveryOffset = Measure(static slot => &slot->Recovery);
    public static readonly int SignalOffset = Measure(static slot => &slot->Signal);
    public static readonly int SignalCodeOffset = Measure(static slot => &slot->SignalCode);
    public static readonly int AddressOffset = Measure(static slot => &slot->Address);
    public static readonly int CallerOffset = Measure(static slot => &slot->Caller);
    public static readonly int RegistersOffset = Measure(static slot => slot->Registers);

    public readonly ulong Rip => Registers[RipIndex];

    private delegate void* FieldAddress(FaultSlot* slot);

    private static int Measure(FieldAddress field)
    {
        FaultSlot slot;
        return (int)((byte*)field(&slot) - (byte*)&slot);
    }
}
