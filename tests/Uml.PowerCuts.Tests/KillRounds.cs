using System.Globalization;
using Uml.Storage.Blocks;

namespace Uml.PowerCuts.Tests;

/// <summary>
/// Rounds in which the process of a machine is killed while its guest writes: every record that was acknowledged is on the disk when it is opened
/// again, and nothing that nobody wrote.
/// </summary>
internal sealed class KillRounds(DiskFormat format, ulong seed, TextWriter output)
{
    private readonly RecordPlan _plan = new(seed);

    /// <summary>Runs rounds on one image.</summary>
    /// <param name="rounds">How many.</param>
    /// <param name="writer">The command of this program that writes: "drive" or "guest".</param>
    /// <exception cref="InvalidDataException">The disk has lost something.</exception>
    public async Task RunAsync(int rounds, string writer)
    {
        using TemporaryFolder folder = new();
        string image = folder["image"], backing = folder["backing"];
        await File.WriteAllBytesAsync(backing, new byte[RecordPlan.DiskLength]);
        format.Make(image, backing);
        RecordBook book = new(_plan);
        Random random = new((int)seed);
        for (int round = 1; round <= rounds; round++)
        {
            long first = book.Next;
            long? last = KilledProcess.Run(
                [writer, "--format", format.Name, "--image", image, "--seed", Text((long)seed), "--first", Text(first)],
                acknowledgements: 1 + random.Next(writer == "guest" ? 60 : 60),
                TimeSpan.FromMicroseconds(random.Next(5000)));
            await using (IBlockDevice device = format.Open(image))
            {
                await book.CheckAsync(device, last ?? first - 1);
            }

            format.Check(image);
            if (round % 20 == 0 || round == rounds)
            {
                await output.WriteLineAsync($"{format.Name}, {writer}: {round} rounds, {book.Confirmed} records acknowledged, none lost");
            }
        }
    }

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);
}
