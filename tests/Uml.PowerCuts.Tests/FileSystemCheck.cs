namespace Uml.PowerCuts.Tests;

/// <summary>What e2fsprogs say of a file system that a power cut left.</summary>
internal static class FileSystemCheck
{
    /// <summary>Replays the journal of a file system, and asserts that nothing is wrong behind that.</summary>
    /// <param name="path">An image, which changes.</param>
    /// <exception cref="InvalidDataException">The file system is damaged.</exception>
    public static void ReplayAndCheck(string path)
    {
        // 0 and 1 are without errors left: e2fsck(8), exit code.
        (int code, string replay) = PeerTool.TryRun("e2fsprogs", "e2fsck", "-p", "-E", "journal_only", path);
        (int check, string found) = PeerTool.TryRun("e2fsprogs", "e2fsck", "-fn", path);
        if (code > 1 || check != 0)
        {
            throw new InvalidDataException($"The file system is damaged: e2fsck {code} and {check}.\n{replay}\n{found}");
        }
    }

    /// <summary>Copies files out of a file system.</summary>
    /// <param name="path">The image.</param>
    /// <param name="folder">Where they go; nothing else is in it behind.</param>
    /// <param name="source">What is copied of the file system.</param>
    public static void Extract(string path, string folder, string source = "/")
    {
        if (Directory.Exists(folder))
        {
            Directory.Delete(folder, recursive: true);
        }

        Directory.CreateDirectory(folder);
        PeerTool.Run("e2fsprogs", "debugfs", "-R", $"rdump {source} {folder}", path);
    }
}
