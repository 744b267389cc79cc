using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Uml.Storage.Interop;

/// <summary>dirent.h of 64-bit Linux: the layout of struct dirent is the same in glibc and musl.</summary>
internal static unsafe partial class Dirent
{
    private const int NameOffset = 19;

    /// <summary>Lists a directory, without "." and "..".</summary>
    /// <param name="path">The directory, without a zero byte behind it.</param>
    /// <param name="names">Gets the names.</param>
    /// <returns>False when the host refuses; the last P/Invoke error says why.</returns>
    public static bool TryList(byte[] path, List<byte[]> names)
    {
        // SAFETY: the path is a terminated copy. An entry is valid until the next is read, and its name ends with a zero byte within it.
        // A link is not followed, nor a pipe waited for: what the path leads to may have changed since it was looked at.
        int descriptor = Fcntl.Open([.. path, 0], Fcntl.ReadOnly | Fcntl.CloseOnExec | Fcntl.NoFollow | Fcntl.NonBlocking, 0);
        if (descriptor < 0)
        {
            return false;
        }

        using SafeFileHandle handle = new(descriptor, ownsHandle: true);
        nint directory = Open(descriptor);
        if (directory == 0)
        {
            return false;
        }

        // It is the directory's now, and closed with it.
        handle.SetHandleAsInvalid();

        try
        {
            while (true)
            {
                // At the end there is no error: each call begins with none.
                byte* entry = Read(directory);
                if (entry is null)
                {
                    return Marshal.GetLastPInvokeError() == 0;
                }

                ReadOnlySpan<byte> name = MemoryMarshal.CreateReadOnlySpanFromNullTerminated(entry + NameOffset);
                if (!name.SequenceEqual("."u8) && !name.SequenceEqual(".."u8))
                {
                    names.Add(name.ToArray());
                }
            }
        }
        finally
        {
            int error = Marshal.GetLastPInvokeError();
            _ = Close(directory);
            Marshal.SetLastPInvokeError(error);
        }
    }

    [LibraryImport("libc", EntryPoint = "fdopendir", SetLastError = true)]
    private static partial nint Open(int descriptor);

    [LibraryImport("libc", EntryPoint = "readdir", SetLastError = true)]
    private static partial byte* Read(nint directory);

    [LibraryImport("libc", EntryPoint = "closedir")]
    private static partial int Close(nint directory);
}
