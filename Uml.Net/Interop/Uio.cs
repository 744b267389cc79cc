using System.Runtime.InteropServices;

namespace Uml.Net.Interop;

/// <summary>sys/uio.h of 64-bit Linux.</summary>
// SAFETY: callers pass as many vectors as they count, whose memory is pinned until the call returns.
internal static unsafe partial class Uio
{
    /// <summary>UIO_MAXIOV.</summary>
    public const int MaximumVectors = 1024;

    [LibraryImport("libc", EntryPoint = "readv", SetLastError = true)]
    public static partial nint ReadVectors(SafeHandle descriptor, IoVector* vectors, int count);

    [LibraryImport("libc", EntryPoint = "writev", SetLastError = true)]
    public static partial nint WriteVectors(SafeHandle descriptor, IoVector* vectors, int count);
}

/// <summary>struct iovec.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct IoVector
{
    public byte* Base;
    public nuint Length;
}
