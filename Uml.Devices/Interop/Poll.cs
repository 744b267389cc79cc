using System.Runtime.InteropServices;

namespace Uml.Devices.Interop;

/// <summary>poll.h.</summary>
// SAFETY: callers pass as many elements as they say; the structure has the layout of struct pollfd.
internal static unsafe partial class Poll
{
    /// <summary>POLLIN.</summary>
    public const short In = 1;

    /// <summary>POLLOUT.</summary>
    public const short Out = 4;

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
