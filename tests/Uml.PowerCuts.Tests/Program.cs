using System.CommandLine;
using Uml.Storage.Blocks;

namespace Uml.PowerCuts.Tests;

/// <summary>
/// Cuts the power of machines that write: <c>dotnet run -c Release --project tests/Uml.PowerCuts.Tests -- kill --format cow --rounds 300</c>. The commands
/// "drive", "guest" and "files" are what is killed.
/// </summary>
internal static class Program
{
    private static readonly Option<string> s_format = new("--format") { Description = "raw, cow, qcow2 (over an image) or qcow2-small (clusters of 512 bytes).", Required = true };
    private static readonly Option<long> s_seed = new("--seed") { Description = "What everything random follows from.", DefaultValueFactory = _ => 1 };
    private static readonly Option<int> s_rounds = new("--rounds") { Description = "How often the power is cut.", DefaultValueFactory = _ => 300 };
    private static readonly Option<string> s_image = new("--image") { Description = "The image.", Required = true };
    private static readonly Option<long> s_first = new("--first") { Description = "The number of the first record.", Required = true };

    public static Task<int> Main(string[] args)
    {
        RootCommand root = new("Cuts the power of machines that write, and looks at what their disks have.");
        root.Subcommands.Add(CreateRounds("kill", "Kills a process with a disk and a driver that writes to it.", "drive"));
        root.Subcommands.Add(CreateRounds("kill-guest", "Kills a machine whose guest writes to its disk.", "guest"));
        root.Subcommands.Add(CreateFileRounds());
        root.Subcommands.Add(CreateLossRounds());
        root.Subcommands.Add(CreateExercise());
        root.Subcommands.Add(CreateWriter("drive", (disk, plan, first) =>
        {
            using DriverWriter writer = new(disk, plan, (int)first);
            writer.Run(first, () => true, Acknowledge);
            return Task.CompletedTask;
        }));
        root.Subcommands.Add(CreateWriter("guest", (disk, plan, first) => GuestWriter.RunAsync(disk, plan, first, hasFileSystem: false)));
        root.Subcommands.Add(CreateWriter("files", (disk, plan, first) => GuestWriter.RunAsync(disk, plan, first, hasFileSystem: true)));
        return root.Parse(args).InvokeAsync();
    }

    private static Command CreateRounds(string name, string description, string writer)
    {
        Command command = new(name, description) { s_format, s_rounds, s_seed };
        command.SetAction(result => new KillRounds(DiskFormat.Get(result.GetValue(s_format)!), (ulong)result.GetValue(s_seed), Console.Out)
            .RunAsync(result.GetValue(s_rounds), writer));
        return command;
    }

    private static Command CreateFileRounds()
    {
        Command command = new("kill-files", "Kills a machine whose guest writes files to ext4 on its disk.") { s_format, s_rounds, s_seed };
        command.SetAction(result => new FileRounds(DiskFormat.Get(result.GetValue(s_format)!), (ulong)result.GetValue(s_seed), Console.Out)
            .RunAsync(result.GetValue(s_rounds)));
        return command;
    }

    private static Command CreateLossRounds()
    {
        Command command = new("lose-power", "Cuts the host's power: what was not flushed is lost in part.") { s_format, s_rounds, s_seed };
        command.SetAction(result => new PowerLossRounds(DiskFormat.Get(result.GetValue(s_format)!), (ulong)result.GetValue(s_seed), Console.Out)
            .RunAsync(result.GetValue(s_rounds)));
        return command;
    }

    private static Command CreateExercise()
    {
        Option<DirectoryInfo> tree = new("--tree") { Description = "What the guest has, /etc/exercise among it.", Required = true };
        Command command = new("exercise", "Runs a script in a guest that exercises a disk; see tests/soak/disks.sh.") { s_format, tree };
        command.SetAction(result => GuestExercise.RunAsync(DiskFormat.Get(result.GetValue(s_format)!), result.GetValue(tree)!.FullName));
        return command;
    }

    private static Command CreateWriter(string name, Func<IBlockDevice, RecordPlan, long, Task> write)
    {
        Command command = new(name, "Writes until it is killed.") { s_format, s_image, s_seed, s_first };
        command.SetAction(async result =>
        {
            await using IBlockDevice disk = DiskFormat.Get(result.GetValue(s_format)!).Open(result.GetValue(s_image)!);
            await write(disk, new RecordPlan((ulong)result.GetValue(s_seed)), result.GetValue(s_first));
        });
        return command;
    }

    private static void Acknowledge(long number) => Console.Out.Write($"{KilledProcess.AcknowledgedMark}{number}\n");
}
