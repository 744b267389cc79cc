using System.Runtime.InteropServices;
using Uml.Storage.Blocks;
using Uml.Storage.Interop;

namespace Uml.Storage.Files;

/// <summary>Where a file has data, and where holes that read as zeroes.</summary>
internal static class HostFileExtents
{
    /// <summary>Says what a range begins with. Where the file system does not know of holes, or the file is none of the host's, everything is data.</summary>
    /// <param name="file">The file.</param>
    /// <param name="offset">The first byte.</param>
    /// <param name="length">Bytes to look at, more than 0.</param>
    /// <param name="block">What the length of the extent is a multiple of, as <paramref name="length"/> is. A block with any data is data.</param>
    public static BlockExtent Find(IImageFile file, long offset, long length, int block)
    {
        if (file is not HostFile host)
        {
            return new BlockExtent(length);
        }

        long data = Seek(host, offset, Unistd.SeekData);
        if (data < 0)
        {
            // No such offset (ENXIO): there is nothing but a hole, or the file ends before.
            return new BlockExtent(length, IsZero: data == -Errno.NoDevice);
        }

        long zeroes = (data - offset) / block * block;
        if (zeroes > 0)
        {
            return new BlockExtent(Math.Min(zeroes, length), IsZero: true);
        }

        long hole = Seek(host, data, Unistd.SeekHole);
        return new BlockExtent(hole < 0 ? length : Math.Min((hole - offset + block - 1) / block * block, length));
    }

    /// <returns>Where it is, or an error, negative.</returns>
    private static long Seek(HostFile file, long offset, int whence)
    {
        long found = Unistd.Seek(file.Descriptor, offset, whence);
        return found >= 0 ? found : -Marshal.GetLastPInvokeError();
    }
}
