using System.Runtime.InteropServices;

namespace Uml.Devices.Interop;

/// <summary>sys/ioctl.h of Linux.</summary>
// SAFETY: the structure has the layout of struct winsize, and is the caller's for the call.
internal static unsafe partial class Ioctl
{
    /// <summary>TIOCGWINSZ (asm-generic/ioctls.h).</summary>
    public const nuint GetWindowSize = 0x5413;

    // The C function is variadic. The calling conventions of Linux on x86-64 and arm64 pass these arguments as for any other.
    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    public static partial int Call(int descriptor, nuint request, WindowSize* size);
}

/// <summary>struct winsize.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct WindowSize
{
    public ushort Rows, Columns, Width, Height;
}
