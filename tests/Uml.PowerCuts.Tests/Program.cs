using System.CommandLine;
using Uml.Storage.Blocks;

namespace Uml.PowerCuts.Tests;

/// <summary>
/// Cuts the power of machines that write: <c>dotnet run -c Release --project tests/Uml.PowerCuts.Tests -- kill --format cow --rounds 300</c>. The commands
/// "drive" and "guest" are what is killed.
/// </summary>
internal static class Program
{
    private static readonly Option<string> s_format = new("--format") { Description = "raw, cow, qcow2 (over an image) or qcow2-small (clusters of 512 bytes).", Required = true };
    private static readonly Option<long> s_seed = new("--seed") { Description = "What everything random follows from.", DefaultValueFactory = _ => 1 };
    private static readonly Option<int> s_rounds = new("--rounds") { Description = "How often the power is cut.", DefaultValueFactory = _ => 300 };
    private static readonly Option<DirectoryInfo> s_folder = new("--folder") { Description = "Where images are made and stay; without it they are gone behind." };
    private static readonly Option<long> s_first = new("--first") { Description = "The number of the first record.", Required = true };

    public static Task<int> Main(string[] args)
    {
        RootCommand root = new("Cuts the power of machines that write, and looks at what their disks have.");
        root.Subcommands.Add(CreateRounds(
            "kill",
            "Kills a process with a disk and a driver that writes to it.",
            (format, seed, rounds, folder) => new KillRounds(format, seed, Console.Out).RunAsync(rounds, folder)));
        root.Subcommands.Add(CreateRounds(
            "lose-power",
            "Cuts the host's power: what was not flushed is lost in part.",
            (format, seed, rounds, folder) => new PowerLossRounds(format, seed, Console.Out).RunAsync(rounds, folder)));
        root.Subcommands.Add(CreateGuestRounds());
        root.Subcommands.Add(CreateExercise());
        root.Subcommands.Add(CreateDriver());
        root.Subcommands.Add(CreateGuest());
        return root.Parse(args).InvokeAsync();
    }

    private static Command CreateRounds(string name, string description, Func<DiskFormat, ulong, int, string, Task> run)
    {
        Command command = new(name, description) { s_format, s_rounds, s_seed, s_folder };
        command.SetAction(result => InFolderAsync(
            result,
            folder => run(DiskFormat.Get(result.GetValue(s_format)!), (ulong)result.GetValue(s_seed), result.GetValue(s_rounds), folder)));
        return command;
    }

    private static Command CreateGuestRounds()
    {
        Command command = new("kill-guest", "Kills a machine whose guest writes to disks of every format, records and files of ext4.") { s_rounds, s_seed, s_folder };
        command.SetAction(result => InFolderAsync(
            result,
            folder => new GuestRounds(DiskFormat.All, (ulong)result.GetValue(s_seed), Console.Out).RunAsync(result.GetValue(s_rounds), folder)));
        return command;
    }

    private static async Task InFolderAsync(ParseResult result, Func<string, Task> run)
    {
        if (result.GetValue(s_folder) is { } folder)
        {
            await run(folder.FullName);
            return;
        }

        using TemporaryFolder temporary = new();
        await run(temporary["rounds"]);
    }

    private static Command CreateExercise()
    {
        Option<DirectoryInfo> tree = new("--tree") { Description = "What the guest has, /etc/exercise among it.", Required = true };
        Command command = new("exercise", "Runs a script in a guest that exercises a disk; see tests/soak/disks.sh.") { s_format, tree };
        command.SetAction(result => GuestExercise.RunAsync(DiskFormat.Get(result.GetValue(s_format)!), result.GetValue(tree)!.FullName));
        return command;
    }

    private static Command CreateDriver()
    {
        Option<string> image = new("--image") { Description = "The image.", Required = true };
        Command command = new("drive", "Writes until it is killed, with a driver.") { s_format, image, s_seed, s_first };
        command.SetAction(async result =>
        {
            await using IBlockDevice disk = DiskFormat.Get(result.GetValue(s_format)!).Open(result.GetValue(image)!);
            using DriverWriter writer = new(disk, new RecordPlan((ulong)result.GetValue(s_seed)), (int)result.GetValue(s_first));
            writer.Run(result.GetValue(s_first), () => true, number => Console.Out.Write($"{KilledProcess.AcknowledgedMark}{number}\n"));
        });
        return command;
    }

    private static Command CreateGuest()
    {
        Option<string[]> disks = new("--disk") { Description = "FORMAT,records,IMAGE or FORMAT,files,IMAGE.", Required = true };
        Command command = new("guest", "Writes until it is killed, in a guest.") { disks, s_seed, s_first };
        command.SetAction(result => GuestWriter.RunAsync(
            [.. result.GetValue(disks)!.Select(GuestDisk.Parse)], new RecordPlan((ulong)result.GetValue(s_seed)), result.GetValue(s_first)));
        return command;
    }
}
