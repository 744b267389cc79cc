using System.Runtime.InteropServices;
using Uml.Storage.Blocks;
using Uml.Storage.Interop;

namespace Uml.Storage.Files;

/// <summary>Zeroes ranges of a file: by the host where its file system can, else by writing.</summary>
internal static class HostFileZeroes
{
    private static readonly byte[] Zeroes = new byte[64 << 10];

    /// <exception cref="BlockIOException">It could not be done.</exception>
    public static void Write(HostFile file, long offset, long length, bool mayDiscard)
    {
        int mode = Fcntl.KeepSize | (mayDiscard ? Fcntl.PunchHole : Fcntl.ZeroRange);
        while (Fcntl.Allocate(file.Descriptor, mode, offset, length) != 0)
        {
            int error = Marshal.GetLastPInvokeError();
            if (Errno.IsUnsupported(error))
            {
                WriteOut(file, offset, length);
                return;
            }

            if (error != Errno.Interrupted)
            {
                throw HostFileError.OnRequest(file, "Zeroing", offset, length, error);
            }
        }
    }

    private static void WriteOut(HostFile file, long offset, long length)
    {
        while (length > 0)
        {
            int count = (int)Math.Min(length, Zeroes.Length);
            file.Run(HostFileOperation.Write, offset, BlockBuffers.OfReadOnly(Zeroes.AsMemory(0, count)), 0);
            offset += count;
            length -= count;
        }
    }
}
