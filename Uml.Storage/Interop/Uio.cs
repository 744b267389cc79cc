using System.Runtime.InteropServices;

namespace Uml.Storage.Interop;

/// <summary>sys/uio.h of Linux on 64-bit hosts.</summary>
// SAFETY: callers pass as many vectors as they count, whose memory is pinned until the call returns.
internal static unsafe partial class Uio
{
    /// <summary>RWF_NOWAIT: EAGAIN where the call would wait for the storage.</summary>
    public const int NoWait = 8;

    /// <summary>IOV_MAX of Linux.</summary>
    public const int MaximumVectors = 1024;

    [LibraryImport("libc", EntryPoint = "preadv2", SetLastError = true)]
    public static partial nint ReadVectors(int descriptor, IoVector* vectors, int count, long offset, int flags);

    [LibraryImport("libc", EntryPoint = "pwritev2", SetLastError = true)]
    public static partial nint WriteVectors(int descriptor, IoVector* vectors, int count, long offset, int flags);
}

/// <summary>struct iovec.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct IoVector
{
    public byte* Base;
    public nuint Length;
}
