using System.Globalization;
using System.Runtime.InteropServices;
using Uml.Storage.Blocks;
using Uml.Storage.Interop;

namespace Uml.Storage.Files;

/// <summary>
/// Locks of images, as User Mode Linux takes them: advisory, on the whole file, to write or to read. They belong to the open file, so that
/// two machines of one process see each other's, and end with it.
/// </summary>
// SAFETY: the range is a local of the caller's, with the layout of struct flock; the file is open while its owner calls this.
internal static unsafe class FileLock
{
    /// <summary>Locks a file against a second writer, or when it is only read, against a first.</summary>
    /// <exception cref="DiskImageException">It is in use.</exception>
    public static void Take(HostFile file)
    {
        FileLockRange range = new() { Type = file.IsReadOnly ? Fcntl.ReadLock : Fcntl.WriteLock };
        if (Fcntl.Lock(file.Descriptor, Fcntl.SetDescriptionLock, &range) == 0)
        {
            return;
        }

        int error = Marshal.GetLastPInvokeError();
        if (error is Errno.TryAgain or Errno.AccessDenied)
        {
            throw new DiskImageException($"'{file.Path}' is in use by {FindHolder(file)}, and would be damaged by a second writer. Stop or close that one, put "
                + "copy-on-write images over the file, or switch locking off if you know that both only read.");
        }

        // A file system without locks: nobody else can hold one either.
    }

    /// <summary>The holder, as far as the host says: a process with a lock of its own, or one that has the file open and locked.</summary>
    private static string FindHolder(HostFile file)
    {
        FileLockRange range = new() { Type = file.IsReadOnly ? Fcntl.ReadLock : Fcntl.WriteLock };
        bool isProcess = Fcntl.Lock(file.Descriptor, Fcntl.GetDescriptionLock, &range) == 0 && range.Type != Fcntl.NoLock && range.ProcessId > 0;
        int? holder = isProcess ? range.ProcessId : FileLockHolder.Find(file.Status);
        if (holder is not { } id)
        {
            return "another machine";
        }

        if (id == Environment.ProcessId)
        {
            return "another disk of this process";
        }

        string number = id.ToString(CultureInfo.InvariantCulture);
        try
        {
            return $"process {number} ({File.ReadAllText($"/proc/{number}/comm").Trim()})";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return $"process {number}";
        }
    }
}
