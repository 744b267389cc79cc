using Uml.Storage.Blocks;

namespace Uml.PowerCuts.Tests;

/// <summary>
/// Rounds in which the host's power is cut under a disk that is written to: of what was not flushed the storage keeps some and loses some, block by
/// block. A killed process loses nothing that the host's page cache has; this does.
/// </summary>
internal sealed class PowerLossRounds(DiskFormat format, ulong seed, TextWriter output)
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
            (long last, long later) = await WriteAsync(image, book.Next, random);
            await using (IBlockDevice device = format.Open(image))
            {
                await book.CheckAsync(device, last, later);
            }

            format.Check(image);
        }

        await output.WriteLineAsync($"{format.Name}, power: {rounds} rounds, {book.Confirmed} records acknowledged, none lost");
    }

    /// <returns>The last record that was acknowledged before the cut, and how many may have been written behind it.</returns>
    private async Task<(long Last, long Later)> WriteAsync(string image, long first, Random random)
    {
        VolatileDisk disk = format.OpenVolatile(image, random.Next());
        long last = first - 1, beforeCut = last;
        TimeSpan time = TimeSpan.FromMicroseconds(random.Next(50_000));
        using (DriverWriter writer = new(disk.Device, _plan, random.Next()))
        {
            Task cut = Task.Run(async () =>
            {
                await Task.Delay(time);
                beforeCut = Volatile.Read(ref last);
                await disk.CutPowerAsync();
            });
            try
            {
                writer.Run(first, () => true, number => Volatile.Write(ref last, number));
            }
            catch (DiskFailedException)
            {
                // The power is cut. What was acknowledged before counts.
            }

            await cut;
        }

        await disk.CloseAsync();
        return (beforeCut, last - beforeCut + RecordBook.Window);
    }
}

/// <summary>A disk whose power can be cut.</summary>
/// <param name="Device">What is written to.</param>
/// <param name="CutPowerAsync">Loses some of what was not flushed, and fails every later request.</param>
/// <param name="CloseAsync">Closes the image, which has what survived.</param>
internal sealed record VolatileDisk(IBlockDevice Device, Func<Task> CutPowerAsync, Func<Task> CloseAsync);
