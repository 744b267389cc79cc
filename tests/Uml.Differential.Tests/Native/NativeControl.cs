using System.Runtime.InteropServices;
using Uml.Differential.Tests.Engines;

namespace Uml.Differential.Tests.Native;

/// <summary>What the emitted thunk reads and writes, at a fixed address below 2 GiB so that it needs no register to reach it.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 8)]
internal unsafe struct NativeControl
{
    public MachineSnapshot State;
    public ulong HostStack;

    /// <summary>FS:0 of the thread inside the thunk, else 0: tells the test's faults from the process's own.</summary>
    public ulong ActiveThread;
    public ulong SavedSignalMask;
    public ulong SignalMask;
    public ulong ExitRip;
    public uint HostMxcsr;
    public uint HostControlWord;
    public SignalStack OwnStack;
    public SignalStack SavedStack;

    /// <summary>Bit n: the process's handler of signal n expects to run on the stack that was interrupted.</summary>
    public ulong InterruptedStackSignals;

    /// <summary>The process's own handlers, by signal number.</summary>
    public fixed ulong PreviousHandlers[32];
}

/// <summary>stack_t.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct SignalStack
{
    public ulong Pointer;
    public int Flags;
    public ulong Size;
}
