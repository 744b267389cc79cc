using System.Globalization;
using Uml.Storage.Blocks;

namespace Uml.PowerCuts.Tests;

/// <summary>
/// Rounds in which a machine is killed while its guest writes files to ext4: the file system needs its journal and nothing else, and has every file
/// whose fsync had returned.
/// </summary>
internal sealed class FileRounds(DiskFormat format, ulong seed, TextWriter output)
{
    private const string FileSystemSize = "48M";

    private readonly RecordPlan _plan = new(seed);

    /// <summary>Runs rounds on one image.</summary>
    /// <param name="rounds">How many.</param>
    /// <exception cref="InvalidDataException">A file is lost, or the file system damaged.</exception>
    public async Task RunAsync(int rounds)
    {
        using TemporaryFolder folder = new();
        string image = folder["image"], backing = folder["backing"];
        PeerTool.Run("e2fsprogs", "mke2fs", "-q", "-t", "ext4", backing, FileSystemSize);
        format.Make(image, backing);
        Random random = new((int)seed);
        HashSet<long> files = [];
        long first = 1;
        for (int round = 1; round <= rounds; round++)
        {
            long? last = KilledProcess.Run(
                ["files", "--format", format.Name, "--image", image, "--seed", Text((long)seed), "--first", Text(first)],
                acknowledgements: 1 + random.Next(60),
                TimeSpan.FromMicroseconds(random.Next(5000)));
            for (; first <= last; first++)
            {
                files.Add(first);
            }

            first += RecordBook.Window;
            await CheckAsync(folder, image, files);
            format.Check(image);
            await output.WriteLineAsync($"{format.Name}, files: {round} rounds, {files.Count} files acknowledged, none lost");
        }
    }

    /// <summary>Looks at a copy: the image's own file system stays as the power cut left it, for the guest to replay.</summary>
    private async Task CheckAsync(TemporaryFolder folder, string image, IEnumerable<long> files)
    {
        string copy = folder["copy"], tree = folder["tree"];
        await using (IBlockDevice device = format.Open(image))
        {
            byte[] contents = new byte[device.Length];
            await device.ReadAsync(0, contents);
            await File.WriteAllBytesAsync(copy, contents);
        }

        // The journal is replayed first; what is wrong behind that is wrong (8 and more: e2fsck(8), exit code).
        (int code, string replay) = PeerTool.TryRun("e2fsprogs", "e2fsck", "-p", "-E", "journal_only", copy);
        (int check, string found) = PeerTool.TryRun("e2fsprogs", "e2fsck", "-fn", copy);
        if (code > 1 || check != 0)
        {
            throw new InvalidDataException($"The file system is damaged: e2fsck {code} and {check}.\n{replay}\n{found}");
        }

        if (Directory.Exists(tree))
        {
            Directory.Delete(tree, recursive: true);
        }

        Directory.CreateDirectory(tree);
        PeerTool.Run("e2fsprogs", "debugfs", "-R", $"rdump / {tree}", copy);
        byte[] record = new byte[RecordPlan.RecordLength];
        foreach (long number in files)
        {
            _plan.Fill(number, record);
            string path = Path.Combine(tree, Text(number));
            if (!File.Exists(path) || !File.ReadAllBytes(path).AsSpan().SequenceEqual(record))
            {
                throw new InvalidDataException($"File {number}, whose fsync had returned, is {(File.Exists(path) ? "damaged" : "gone")}.");
            }
        }
    }

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);
}
