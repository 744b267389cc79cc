using System.Globalization;
using Uml.Storage.Blocks;

namespace Uml.PowerCuts.Tests;

/// <summary>
/// Rounds in which a process with a disk and a driver that writes to it is killed: every record that was acknowledged is on the disk when it is opened
/// again, and nothing that nobody wrote.
/// </summary>
internal sealed class KillRounds(DiskFormat format, ulong seed, TextWriter output)
{
    private readonly RecordPlan _plan = new(seed);

    /// <summary>Runs rounds on one image.</summary>
    /// <param name="rounds">How many.</param>
    /// <param name="folder">A folder for the image, which is made, and stays.</param>
    /// <exception cref="InvalidDataException">The disk has lost something.</exception>
    public async Task RunAsync(int rounds, string folder)
    {
        Directory.CreateDirectory(folder);
        string image = Path.Combine(folder, "image"), backing = Path.Combine(folder, "backing");
        await File.WriteAllBytesAsync(backing, new byte[RecordPlan.DiskLength]);
        format.Make(image, backing);
        RecordBook book = new(_plan);
        Random random = new((int)seed);
        for (int round = 1; round <= rounds; round++)
        {
            long last = 0;
            int more = random.Next(60);
            KilledProcess.Run(
                ["drive", "--format", format.Name, "--image", image, "--seed", $"{(long)seed}", "--first", $"{book.Next}"],
                said =>
                {
                    last = long.Parse(said, CultureInfo.InvariantCulture);
                    return more-- <= 0;
                },
                TimeSpan.FromMicroseconds(random.Next(5000)));
            await using (IBlockDevice device = format.Open(image))
            {
                await book.CheckAsync(device, last);
            }

            format.Check(image);
            if (round % 20 == 0 || round == rounds)
            {
                await output.WriteLineAsync($"{format.Name}, drive: {round} rounds, {book.Confirmed} records acknowledged, none lost");
            }
        }
    }
}
