using System.Runtime.InteropServices;

namespace Uml.Devices.Interop;

/// <summary>termios.h. The structure is passed around unopened: its size differs between hosts and is at most <see cref="Size"/>.</summary>
// SAFETY: callers pass Size bytes, which is more than any host's structure has.
internal static unsafe partial class Termios
{
    /// <summary>Bytes enough for struct termios: 60 with glibc and musl, 72 with Darwin.</summary>
    public const int Size = 128;

    /// <summary>TCSANOW: unlike the others it does not wait for a terminal that the user has stopped with Ctrl-S.</summary>
    public const int ApplyNow = 0;

    [LibraryImport("libc", EntryPoint = "isatty")]
    public static partial int IsTerminal(int descriptor);

    [LibraryImport("libc", EntryPoint = "tcgetattr", SetLastError = true)]
    public static partial int GetAttributes(int descriptor, byte* termios);

    [LibraryImport("libc", EntryPoint = "tcsetattr", SetLastError = true)]
    public static partial int SetAttributes(int descriptor, int actions, byte* termios);

    [LibraryImport("libc", EntryPoint = "cfmakeraw")]
    public static partial void MakeRaw(byte* termios);
}
