namespace Uml.PowerCuts.Tests.Logs;

/// <summary>
/// Writes what a log has to an empty disk, entry by entry, and looks at ext4 on it where a power cut could have left it: behind each flush, and each
/// write that goes past the disk's cache. The file system needs its journal and nothing else there; at marks its files are right.
/// </summary>
/// <param name="log">What was written.</param>
/// <param name="folder">A folder for the images, which is there, and keeps them.</param>
internal sealed class WriteLogReplay(WriteLog log, string folder)
{
    /// <summary>The mark behind which there is a file system.</summary>
    public const string MadeMark = "made";

    private const WriteLogFlags Durable = WriteLogFlags.Flush | WriteLogFlags.ForceUnitAccess;

    private readonly string _disk = Path.Combine(folder, "disk"), _copy = Path.Combine(folder, "copy");
    private readonly MarkedFiles _files = new();

    /// <summary>Places where the power could have been cut and the file system was looked at.</summary>
    public int Cuts { get; private set; }

    /// <summary>Marks at which the files were looked at.</summary>
    public int Marks { get; private set; }

    /// <summary>Replays the log.</summary>
    /// <param name="cuts">At how many places to look, or some more; they are as far from each other as can be.</param>
    /// <exception cref="InvalidDataException">Something is wrong, or the log has nothing to look at.</exception>
    public async Task RunAsync(int cuts)
    {
        long places = await CountAsync();
        long step = Math.Max(1, places / cuts), place = 0, number = 0;
        bool isMade = false;
        using FileStream disk = new(_disk, FileMode.Create);
        await foreach (WriteLogEntry entry in log.ReadAsync())
        {
            await ApplyAsync(disk, entry);
            isMade |= entry.Mark == MadeMark;
            number++;
            if (isMade && (entry.Flags & Durable) != 0 && place++ % step == 0)
            {
                Look(disk, number);
                Cuts++;
            }

            if (entry.Mark is { } mark && _files.TryTake(mark))
            {
                Look(disk, number);
                _files.Check(_copy, Path.Combine(folder, "tree"));
                Marks++;
            }
        }
    }

    private async Task<long> CountAsync()
    {
        long places = 0;
        bool isMade = false;
        await foreach (WriteLogEntry entry in log.ReadAsync())
        {
            isMade |= entry.Mark == MadeMark;
            places += isMade && (entry.Flags & Durable) != 0 ? 1 : 0;
        }

        return places > 0 ? places : throw new InvalidDataException($"Of {log.Count} entries of the log none behind the mark '{MadeMark}' is durable.");
    }

    private async Task ApplyAsync(FileStream disk, WriteLogEntry entry)
    {
        if (entry.Length == 0)
        {
            return;
        }

        disk.Position = entry.Offset;
        await disk.WriteAsync(entry.Flags.HasFlag(WriteLogFlags.Discard) ? new byte[entry.Length] : await log.ReadDataAsync(entry));
    }

    /// <summary>Looks at a copy, since a journal that is replayed is none any more.</summary>
    private void Look(FileStream disk, long number)
    {
        disk.Flush();
        File.Copy(_disk, _copy, overwrite: true);
        try
        {
            FileSystemCheck.ReplayAndCheck(_copy);
        }
        catch (InvalidDataException exception)
        {
            throw new InvalidDataException($"Behind entry {number} of {log.Count}: {exception.Message}", exception);
        }
    }
}
