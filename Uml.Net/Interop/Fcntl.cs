using System.Runtime.InteropServices;

namespace Uml.Net.Interop;

/// <summary>fcntl.h of Linux on x86-64 and ARM64.</summary>
internal static partial class Fcntl
{
    public const int ReadWrite = 2, NonBlocking = 0x800, CloseOnExec = 0x8_0000;

    /// <summary>F_GETFL, F_SETFL and F_DUPFD_CLOEXEC.</summary>
    public const int GetFlags = 3, SetFlags = 4, Duplicate = 1030;

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    public static partial int Control(SafeHandle descriptor, int command, int argument);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    public static partial int Control(int descriptor, int command, int argument);
}
