using System.Globalization;

namespace Uml.PowerCuts.Tests;

/// <summary>
/// Rounds in which a machine is killed while its guest writes to many disks at once: records on some, each with an fsync, and files of ext4 on
/// others. One boot serves all of them, since it is most of a round.
/// </summary>
internal sealed class GuestRounds(IReadOnlyList<DiskFormat> formats, ulong seed, TextWriter output)
{
    /// <summary>What a round may acknowledge of each disk before its kill.</summary>
    private const int Acknowledgements = 40;

    private readonly RecordPlan _plan = new(seed);

    /// <summary>Runs rounds on one set of images.</summary>
    /// <param name="rounds">How many.</param>
    /// <param name="folder">A folder for the images, which is made, and stays.</param>
    /// <exception cref="InvalidDataException">A disk has lost something.</exception>
    public async Task RunAsync(int rounds, string folder)
    {
        Directory.CreateDirectory(folder);
        GuestDisk[] disks =
        [
            .. formats.Select(format => new GuestRecordDisk(format, _plan, Path.Combine(folder, $"{format.Name}.records"))),
            .. formats.Select(format => new GuestFileDisk(format, _plan, Path.Combine(folder, $"{format.Name}.files"))),
        ];
        Random random = new((int)seed);
        long first = 1;
        for (int round = 1; round <= rounds; round++)
        {
            long?[] last = Kill(disks, first, random);
            for (int i = 0; i < disks.Length; i++)
            {
                await disks[i].CheckAsync(first, last[i] ?? first - 1);
            }

            first = last.Max()!.Value + 1 + RecordBook.Window;
            if (round % 10 == 0 || round == rounds)
            {
                await output.WriteLineAsync($"guest, {round} rounds, acknowledged and not lost: {string.Join(", ", disks.Select(disk => disk.Summary))}");
            }
        }
    }

    /// <summary>Kills a guest some time after it has acknowledged something of every disk.</summary>
    /// <returns>Of each disk, the last number that was acknowledged.</returns>
    private long?[] Kill(GuestDisk[] disks, long first, Random random)
    {
        long?[] last = new long?[disks.Length];
        int more = random.Next(Acknowledgements * disks.Length);
        KilledProcess.Run(
            ["guest", "--seed", $"{(long)seed}", "--first", $"{first}", .. disks.SelectMany(disk => new[] { "--disk", disk.Argument })],
            said =>
            {
                string[] words = said.Split(' ');
                last[int.Parse(words[0], CultureInfo.InvariantCulture)] = long.Parse(words[1], CultureInfo.InvariantCulture);
                return !last.Contains(null) && more-- <= 0;
            },
            TimeSpan.FromMicroseconds(random.Next(5000)));
        return last;
    }
}
