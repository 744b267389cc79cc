using System.Runtime.InteropServices;

namespace Uml.Devices.Interop;

/// <summary>unistd.h.</summary>
// SAFETY: callers pin buffers for the call and pass their length; pipe gets two elements.
internal static unsafe partial class Unistd
{
    public const int StandardInput = 0, StandardOutput = 1;

    /// <summary>EINTR, the same on all hosts.</summary>
    public const int Interrupted = 4;

    /// <summary>EAGAIN on Linux and on Darwin: a descriptor that another process has made non-blocking.</summary>
    public const int TryAgainLinux = 11, TryAgainDarwin = 35;

    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    public static partial nint Read(int descriptor, byte* buffer, nuint count);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    public static partial nint Write(int descriptor, byte* buffer, nuint count);

    [LibraryImport("libc", EntryPoint = "pipe", SetLastError = true)]
    public static partial int Pipe(int* descriptors);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    public static partial int Close(int descriptor);

    /// <summary>Whether a call failed only because it has to be made again.</summary>
    public static bool IsTransient(int error) => error is Interrupted or TryAgainLinux or TryAgainDarwin;
}
