using System.Runtime.InteropServices;

namespace Uml.Storage.Interop;

/// <summary>unistd.h.</summary>
internal static partial class Unistd
{
    public const int SeekSet = 0, SeekEnd = 2, SeekData = 3, SeekHole = 4;

    [LibraryImport("libc", EntryPoint = "fdatasync", SetLastError = true)]
    public static partial int SyncData(int descriptor);

    [LibraryImport("libc", EntryPoint = "lseek", SetLastError = true)]
    public static partial long Seek(int descriptor, long offset, int whence);

    [LibraryImport("libc", EntryPoint = "ftruncate", SetLastError = true)]
    public static partial int Truncate(int descriptor, long length);
}
