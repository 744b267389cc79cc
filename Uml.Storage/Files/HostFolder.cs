using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Uml.Storage.Blocks;
using Uml.Storage.Interop;

namespace Uml.Storage.Files;

/// <summary>A folder of the host, whose names are data as well.</summary>
internal static class HostFolder
{
    /// <summary>Makes the names in a folder durable.</summary>
    /// <exception cref="BlockIOException">The host does not do it.</exception>
    public static void Flush(string path)
    {
        int descriptor = Fcntl.Open(path, Fcntl.ReadOnly | Fcntl.CloseOnExec, 0);
        int error = descriptor < 0 ? Marshal.GetLastPInvokeError() : 0;
        if (error == 0)
        {
            using SafeFileHandle handle = new(descriptor, ownsHandle: true);

            // Some file systems keep no such thing as unwritten names (EINVAL).
            error = Unistd.SyncData(descriptor) == 0 ? 0 : Marshal.GetLastPInvokeError();
        }

        if (error != 0 && !Errno.IsUnsupported(error))
        {
            throw new BlockIOException($"The folder '{path}' could not be flushed: {Marshal.GetPInvokeErrorMessage(error)} (errno {error}).");
        }
    }
}
