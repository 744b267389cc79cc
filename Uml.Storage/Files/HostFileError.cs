using System.Runtime.InteropServices;
using Uml.Storage.Blocks;
using Uml.Storage.Interop;

namespace Uml.Storage.Files;

/// <summary>The errors of the host in words.</summary>
internal static class HostFileError
{
    public static DiskImageException OnOpen(string path, HostFileMode mode, int error) => new(error switch
    {
        Errno.NoEntry when mode.IsNew => $"'{path}' cannot be made: its folder is not there. Make it, or name another place.",
        Errno.NoEntry => $"There is no file '{path}'. Check the path, or make the image first.",
        Errno.Exists => $"'{path}' is there already and would be overwritten. Name another file, or delete this one.",
        Errno.AccessDenied or Errno.NotPermitted or Errno.ReadOnlyFileSystem when !mode.IsReadOnly =>
            $"'{path}' may not be written: {Describe(error)}. Change its permissions, or open it to be read only.",
        Errno.AccessDenied or Errno.NotPermitted => $"'{path}' may not be read: {Describe(error)}. Change its permissions.",
        Errno.IsDirectory => $"'{path}' is a directory: name the image itself.",
        Errno.Invalid when mode.IsDirect => $"The file system of '{path}' has no direct access (O_DIRECT): leave that option out.",
        _ => $"'{path}' cannot be opened: {Describe(error)}.",
    });

    public static BlockIOException OnRequest(HostFile file, string what, long offset, long length, int error) =>
        new($"{what} {length} bytes at {offset} of '{file.Path}' failed: {Describe(error)}.", Errno.IsNoSpace(error) ? BlockError.NoSpace : BlockError.Io);

    public static BlockIOException OnFlush(HostFile file, int error) => new(
        $"'{file.Path}' could not be flushed, and what was written since the last flush may be lost: {Describe(error)}.",
        Errno.IsNoSpace(error) ? BlockError.NoSpace : BlockError.Io);

    public static BlockIOException OnEnd(HostFile file, long offset, long length, long end) =>
        new($"A read of {length} bytes at {offset} of '{file.Path}' ran over its end, which is at {end} now: the file was cut off after it was opened.");

    private static string Describe(int error) => $"{Marshal.GetPInvokeErrorMessage(error)} (errno {error})";
}
