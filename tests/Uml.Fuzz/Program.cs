using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Uml.Fuzz.Boot;
using Uml.Fuzz.Disks;
using Uml.Fuzz.Guests;
using Uml.Fuzz.Packages;
using Uml.Fuzz.Running;
using Uml.Fuzz.Translations;

namespace Uml.Fuzz;

/// <summary>The fuzzers' front end: <c>dotnet run -c Release --project tests/Uml.Fuzz -- kernels --seconds 3600</c>.</summary>
internal static class Program
{
    /// <summary>What can be attacked. A target is a line here and files of its own.</summary>
    public static IReadOnlyList<FuzzTarget> Targets { get; } =
    [
        new("devices", "the board's registers: ports, memory-mapped registers, MSRs, DMA and interrupts, from a guest and from the bus", DeviceFuzz.Run, TestCases: 30),
        new("system", "the processor's system state: paging structures, descriptors, control and model-specific registers", SystemFuzz.Run, TestCases: 50),
        new("api", "the public API: calls in any order from several threads while a guest runs", ApiFuzz.Run, TestCases: 20),
        new("checker", "the checker of translated code: damaged translations that it accepts run, and may not touch the host", CheckerFuzz.Run, TestCases: 40),
        new("virtqueue", "virtio devices: registers, queues and states, as drivers that obey and that do not", VirtqueueFuzz.Run, TestCases: 1000),
        new("disks", "disk images that are whole: requests of every kind, many at once, beside a model; opened again, and read by QEMU", DiskFuzz.Run, TestCases: 30),
        new("images", "disk images: damaged headers and metadata of every format, opened, read, written and cut off", ImageFuzz.Run, TestCases: 200),
        new("kernels", "boot loader: bzImage, vmlinux, PVH, multiboot and flat images, with initrds, modules and memory maps", KernelFuzz.Run, TestCases: 3000),
        new("payloads", "decompressors of kernel payloads: damaged and random data of every format", PayloadFuzz.Run, TestCases: 4000),
        new("packages", "Debian packages: ar, tar, compressors and what they unpack to, and trees of kernel modules", PackageFuzz.Run, TestCases: 500),
        new("initramfs", "the initramfs builder: hostile paths, links and nodes, read back", InitramfsFuzz.Run, TestCases: 3000),
    ];

    /// <summary>46 days: a timer of .NET takes 2^32 ms.</summary>
    private const double MaximumSeconds = 4_000_000;

    public static int Main(string[] args) => CreateCommand().Parse(args).Invoke();

    /// <summary>The command line: a subcommand for each target, all with the same options.</summary>
    public static RootCommand CreateCommand()
    {
        RootCommand root = new("Feeds a part of the machine hostile input until the time or the number of cases is up.");
        foreach (FuzzTarget target in Targets)
        {
            root.Subcommands.Add(CreateCommand(target));
        }

        return root;
    }

    private static Command CreateCommand(FuzzTarget target)
    {
        Option<double?> seconds = new("--seconds") { Description = "Stop after this time." };
        Option<long> cases = new("--cases") { Description = "Stop after this many cases.", DefaultValueFactory = _ => long.MaxValue, HelpName = "number" };
        Option<ulong?> seed = new("--seed") { Description = "Seed of the run. Default: random, printed.", CustomParser = ParseSeed };
        Option<ulong?> only = new("--case") { Description = "Run just the case with this seed; a failing case prints it.", CustomParser = ParseSeed };
        Option<bool> isolated = new("--isolated") { Description = "Run the cases in a process of their own, and go on in another when a case ends it." };
        Option<long> first = new("--first") { Description = "Begin with this case of the run.", HelpName = "number" };
        Option<FileInfo?> journal = new("--journal") { Description = "Note the number of the case that runs in this file.", HelpName = "file" };
        RequireAtLeast(seconds, 0.001);
        RequireAtMost(seconds, MaximumSeconds);
        journal.Validators.Add(result =>
        {
            if (result.Tokens is [var token] && Path.GetDirectoryName(Path.GetFullPath(token.Value)) is { } directory && !Directory.Exists(directory))
            {
                result.AddError($"--journal: there is no directory '{directory}'; make it first.");
            }
        });
        RequireAtLeast(cases, 1);
        RequireAtLeast(first, 0);
        Command command = new(target.Name, target.Description) { seconds, cases, seed, only, isolated, first, journal };
        command.SetAction(result => Run(target, new FuzzSettings(
            result.GetValue(seconds) is { } time ? TimeSpan.FromSeconds(time) : null,
            result.GetValue(seed) ?? (ulong)Random.Shared.NextInt64(),
            result.GetValue(only),
            result.GetValue(first),
            result.GetValue(cases),
            result.GetValue(isolated),
            result.GetValue(journal)?.FullName)));
        return command;
    }

    private static ulong? ParseSeed(ArgumentResult result)
    {
        if (Seeds.TryParse(result.Tokens[0].Value, out ulong seed))
        {
            return seed;
        }

        result.AddError($"'{result.Tokens[0].Value}' is not a seed; write a number of up to 64 bits, decimal or with 0x.");
        return null;
    }

    private static void RequireAtLeast(Option option, double minimum) => option.Validators.Add(result =>
    {
        // What is no number is told by the parser.
        if (result.Tokens is [var token] && double.TryParse(token.Value, CultureInfo.InvariantCulture, out double value) && !(value >= minimum))
        {
            result.AddError($"{option.Name} is {token.Value}; write at least {minimum.ToString(CultureInfo.InvariantCulture)}.");
        }
    });

    private static void RequireAtMost(Option option, double maximum) => option.Validators.Add(result =>
    {
        if (result.Tokens is [var token] && double.TryParse(token.Value, CultureInfo.InvariantCulture, out double value) && value > maximum)
        {
            result.AddError($"{option.Name} is {token.Value}; write at most {maximum.ToString(CultureInfo.InvariantCulture)}, or leave it out.");
        }
    });

    private static int Run(FuzzTarget target, FuzzSettings settings)
    {
        if (settings.Isolated)
        {
            return new IsolatedRun(target.Name, settings, Console.Out).Run() ? 0 : 1;
        }

        using var limit = settings.Time is { } duration ? new CancellationTokenSource(duration) : new CancellationTokenSource();
        using CaseJournal? journal = settings.Journal is { } file ? CaseJournal.Open(file) : null;
        FuzzRun run = new(target, Console.Out, limit.Token)
        {
            Seed = settings.Seed,
            MaximumCases = settings.MaximumCases,
            FirstCase = settings.FirstCase,
            Journal = journal,
            OnlyCase = settings.OnlyCase,
        };
        return run.Run() ? 0 : 1;
    }
}
