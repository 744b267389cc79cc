using System.ComponentModel;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Uml.Core.Interop;

/// <summary>An anonymous file of Linux in memory, so that the memory can be mapped more than once (memfd_create(2)).</summary>
// SAFETY: the structure is on the stack for the call.
internal static unsafe class MemoryFile
{
    /// <summary>Makes a file of zeros whose size is sealed, so that no one who maps it gets SIGBUS because it was truncated.</summary>
    /// <param name="name">The name that /proc shows.</param>
    /// <param name="size">Bytes.</param>
    /// <param name="refusal">Why there is no file.</param>
    /// <returns>Null when the host refuses.</returns>
    public static SafeFileHandle? TryCreate(string name, ulong size, out string? refusal)
    {
        ResourceLimit limit;
        if (Libc.GetLimit(Libc.LimitFileSize, &limit) == 0 && size > limit.Soft)
        {
            // ftruncate with a larger size would raise SIGXFSZ, which ends the process (setrlimit(2)).
            refusal = $"the limit of a file's size is {limit.Soft} bytes (ulimit -f)";
            return null;
        }

        int descriptor = Libc.MemfdCreate(name, Libc.MfdCloseOnExec | Libc.MfdAllowSealing);
        if (descriptor < 0)
        {
            refusal = Refusal("memfd_create");
            return null;
        }

        SafeFileHandle file = new(descriptor, ownsHandle: true);
        refusal = Libc.Ftruncate(descriptor, (long)size) != 0 ? Refusal("ftruncate")
            : Libc.Fcntl(descriptor, Libc.AddSeals, Libc.SealSeals | Libc.SealShrink | Libc.SealGrow) != 0 ? Refusal("F_ADD_SEALS")
            : null;
        if (refusal is null)
        {
            return file;
        }

        file.Dispose();
        return null;
    }

    private static string Refusal(string call) => $"{call}: {new Win32Exception(Marshal.GetLastPInvokeError()).Message}";
}
