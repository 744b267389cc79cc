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

    /// <summary>Reads where a symbolic link leads to.</summary>
    /// <param name="path">The link, without a zero byte behind it.</param>
    /// <returns>Null when the host refuses; the last P/Invoke error says why.</returns>
    public static byte[]? ReadLink(byte[] path)
    {
        byte[] target = new byte[Limits.PathBytes + 1];
        nint length = ReadLink([.. path, 0], target, (nuint)target.Length);
        return length < 0 ? null : target[..(int)length];
    }

    // SAFETY: of these two, callers pass the length of the buffer, which is pinned until the call returns; paths end with a zero byte.
    [LibraryImport("libc", EntryPoint = "pread", SetLastError = true)]
    public static partial nint ReadAt(int descriptor, Span<byte> buffer, nuint length, long offset);

    [LibraryImport("libc", EntryPoint = "readlink", SetLastError = true)]
    private static partial nint ReadLink(ReadOnlySpan<byte> path, Span<byte> buffer, nuint length);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    public static partial int Close(int descriptor);

    [LibraryImport("libc", EntryPoint = "ftruncate", SetLastError = true)]
    public static partial int Truncate(int descriptor, long length);
}
