using System.Runtime.InteropServices;

namespace Uml.Storage.Interop;

/// <summary>fcntl.h of Linux on x86-64 and ARM64.</summary>
// SAFETY: callers pass a structure of their own, with the layout of struct flock.
internal static unsafe partial class Fcntl
{
    public const int ReadOnly = 0, ReadWrite = 2, Create = 0x40, Exclusive = 0x80, CloseOnExec = 0x8_0000, DataSync = 0x1000, NonBlocking = 0x800;

    /// <summary>FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE and FALLOC_FL_ZERO_RANGE.</summary>
    public const int KeepSize = 1, PunchHole = 2, ZeroRange = 0x10;

    /// <summary>F_GETLK, F_OFD_GETLK and F_OFD_SETLK.</summary>
    public const int GetLock = 5, GetDescriptionLock = 36, SetDescriptionLock = 37;

    /// <summary>F_RDLCK, F_WRLCK and F_UNLCK.</summary>
    public const short ReadLock = 0, WriteLock = 1, NoLock = 2;

    /// <summary>O_NOFOLLOW, which differs between architectures.</summary>
    public static int NoFollow => RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? 0x8000 : 0x2_0000;

    /// <summary>O_DIRECT, which differs between architectures.</summary>
    public static int Direct => RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? 0x1_0000 : 0x4000;

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Open(string path, int flags, int mode);

    /// <param name="path">Ends with a zero byte.</param>
    [LibraryImport("libc", EntryPoint = "open", SetLastError = true)]
    public static partial int Open(ReadOnlySpan<byte> path, int flags, int mode);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    public static partial int Lock(int descriptor, int command, FileLockRange* range);

    [LibraryImport("libc", EntryPoint = "fallocate", SetLastError = true)]
    public static partial int Allocate(int descriptor, int mode, long offset, long length);
}

/// <summary>struct flock of 64-bit Linux.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct FileLockRange
{
    public short Type;
    public short Whence;
    public long Start;
    public long Length;
    public int ProcessId;
}
