using System.Runtime.InteropServices;

namespace Uml.Core.Interop;

/// <summary>The calls of the C library that have no counterpart in .NET. Constants are those of Linux (sys/mman.h, sys/resource.h, fcntl.h, signal.h).</summary>
// SAFETY: callers pass ranges of mappings that they own, and structures on their stack or in memory of the process's life; the structures
// have the layout and size of the C library's.
internal static unsafe partial class Libc
{
    public const int ProtNone = 0, ProtRead = 1, ProtWrite = 2, ProtExecute = 4;
    public const int MapShared = 1, MapPrivate = 2, MapFixed = 0x10, MapAnonymous = 0x20, MapNoReserve = 0x4000, MapFixedNoReplace = 0x10_0000;
    public const int MadviseDontNeed = 4, MadviseRemove = 9, MadviseCollapse = 25;
    public const uint MfdCloseOnExec = 1, MfdAllowSealing = 2;
    public const int AddSeals = 1033, SealSeals = 1, SealShrink = 2, SealGrow = 4;
    public const int LimitFileSize = 1, LimitAddressSpace = 9;

    /// <summary>RLIM_INFINITY.</summary>
    public const ulong Unlimited = ulong.MaxValue;

    /// <summary>What <see cref="Mmap"/> returns when it fails.</summary>
    public const nint MapFailed = -1;

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    public static partial nint Mmap(nint address, nuint length, int protection, int flags, int descriptor, nint offset);

    [LibraryImport("libc", EntryPoint = "munmap", SetLastError = true)]
    public static partial int Munmap(nint address, nuint length);

    [LibraryImport("libc", EntryPoint = "mprotect", SetLastError = true)]
    public static partial int Mprotect(nint address, nuint length, int protection);

    [LibraryImport("libc", EntryPoint = "madvise", SetLastError = true)]
    public static partial int Madvise(nint address, nuint length, int advice);

    [LibraryImport("libc", EntryPoint = "memfd_create", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int MemfdCreate(string name, uint flags);

    [LibraryImport("libc", EntryPoint = "ftruncate", SetLastError = true)]
    public static partial int Ftruncate(int descriptor, long length);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    public static partial int Fcntl(int descriptor, int command, int argument);

    [LibraryImport("libc", EntryPoint = "getrlimit", SetLastError = true)]
    public static partial int GetLimit(int resource, ResourceLimit* limit);

    [LibraryImport("libc", EntryPoint = "sigaction", SetLastError = true)]
    public static partial int Sigaction(int signal, SignalAction* action, SignalAction* previous);
}

/// <summary>struct rlimit on 64-bit Linux.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct ResourceLimit
{
    public ulong Soft, Hard;
}

/// <summary>struct sigaction of glibc and musl on x86-64.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct SignalAction
{
    /// <summary>SIG_DFL and SIG_IGN, in place of a handler.</summary>
    public const ulong Default = 0, Ignore = 1;

    /// <summary>SA_SIGINFO, SA_ONSTACK and SA_RESTART.</summary>
    public const int PassInfo = 4, OnAlternateStack = 0x0800_0000, Restart = 0x1000_0000;

    public ulong Handler;
    public fixed ulong Mask[16];
    public int Flags;
    public nint Restorer;
}
