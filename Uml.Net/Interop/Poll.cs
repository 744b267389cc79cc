using System.Runtime.InteropServices;

namespace Uml.Net.Interop;

/// <summary>poll.h of Linux.</summary>
// SAFETY: callers pass a structure on their stack.
internal static unsafe partial class Poll
{
    public const short In = 1, Out = 4, Error = 8, HangUp = 0x10, ReadHangUp = 0x2000;

    [LibraryImport("libc", EntryPoint = "poll", SetLastError = true)]
    public static partial int Wait(PollDescriptor* descriptors, nuint count, int milliseconds);
}

/// <summary>struct pollfd.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct PollDescriptor
{
    public int Descriptor;
    public short Events;
    public short Returned;
}
