using System.Globalization;
using Uml.Storage.Interop;

namespace Uml.Storage.Files;

/// <summary>
/// Who holds a lock of an open file, which belongs to no process: the process that has such a file, as /proc/PID/fdinfo says. Of processes
/// that may be looked at, those of the same user.
/// </summary>
internal static class FileLockHolder
{
    /// <summary>Finds a process that has a file locked.</summary>
    /// <returns>Its number, or null when none is found.</returns>
    public static int? Find(in Statx file)
    {
        // proc(5): device in hexadecimal, inode in decimal.
        string name = string.Create(CultureInfo.InvariantCulture, $" {file.DeviceMajor:x2}:{file.DeviceMinor:x2}:{file.Inode} ");
        try
        {
            foreach (string process in Directory.EnumerateDirectories("/proc"))
            {
                if (int.TryParse(Path.GetFileName(process), CultureInfo.InvariantCulture, out int id) && Holds(process, name))
                {
                    return id;
                }
            }
        }
        catch (IOException)
        {
            // No /proc here: whoever it is stays unknown.
            return null;
        }

        return null;
    }

    private static bool Holds(string process, string name)
    {
        try
        {
            return Directory.EnumerateFiles(Path.Combine(process, "fdinfo")).Any(file => HasLock(file, name));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Another user's, or gone meanwhile.
            return false;
        }
    }

    private static bool HasLock(string file, string name)
    {
        try
        {
            return File.ReadLines(file).Any(line => line.StartsWith("lock:", StringComparison.Ordinal) && line.Contains(name, StringComparison.Ordinal));
        }
        catch (IOException)
        {
            // Closed meanwhile.
            return false;
        }
    }
}
