using System.Globalization;
using Uml.Fuzz.Boot;
using Uml.Fuzz.Guests;
using Uml.Fuzz.Packages;
using Uml.Fuzz.Running;

namespace Uml.Fuzz;

/// <summary>The fuzzers' front end: <c>dotnet run -c Release --project tests/Uml.Fuzz -- kernels --seconds 3600</c>.</summary>
internal static class Program
{
    private const string Usage = """
        Feeds a part of the machine hostile input until the time or the number of cases is up.
          TARGET         what to attack, see below
          --seconds N    stop after this time
          --cases N      stop after this many cases
          --seed S       seed of the run (default: random, printed)
          --case S       run just the case with this seed; a failing case prints it
          --isolated yes run the cases in a process of their own, and go on in another when one ends it
          --first N      begin with case N of the run
          --journal F    note the number of the case that runs in this file
        """;

    /// <summary>What can be attacked. A target is a line here and files of its own.</summary>
    public static IReadOnlyList<FuzzTarget> Targets { get; } =
    [
        new("devices", "the board's registers: ports, memory-mapped registers, MSRs, DMA and interrupts, from a guest and from the bus", DeviceFuzz.Run, TestCases: 30),
        new("system", "the processor's system state: paging structures, descriptors, control and model-specific registers", SystemFuzz.Run, TestCases: 50),
        new("api", "the public API: calls in any order from several threads while a guest runs", ApiFuzz.Run, TestCases: 20),
        new("kernels", "boot loader: bzImage, vmlinux, PVH, multiboot and flat images, with initrds, modules and memory maps", KernelFuzz.Run, TestCases: 3000),
        new("payloads", "decompressors of kernel payloads: damaged and random data of every format", PayloadFuzz.Run, TestCases: 4000),
        new("packages", "Debian packages: ar, tar, compressors and what they unpack to, and trees of kernel modules", PackageFuzz.Run, TestCases: 500),
        new("initramfs", "the initramfs builder: hostile paths, links and nodes, read back", InitramfsFuzz.Run, TestCases: 3000),
    ];

    public static int Main(string[] args)
    {
        FuzzTarget? target = args.Length == 0 ? null : Targets.FirstOrDefault(candidate => candidate.Name == args[0]);
        var options = new Dictionary<string, string>(StringComparer.Ordinal);
        for (int i = 1; i < args.Length; i += 2)
        {
            if (args[i] is not ("--seconds" or "--cases" or "--seed" or "--case" or "--isolated" or "--first" or "--journal") || i + 1 == args.Length)
            {
                return Fail();
            }

            options[args[i]] = args[i + 1];
        }

        return target is null ? Fail() : Run(target, options);
    }

    private static int Run(FuzzTarget target, Dictionary<string, string> options)
    {
        TimeSpan? time = options.TryGetValue("--seconds", out string? seconds) ? TimeSpan.FromSeconds(double.Parse(seconds, CultureInfo.InvariantCulture)) : null;
        ulong seed = options.TryGetValue("--seed", out string? given) ? Seeds.Parse(given) : (ulong)Random.Shared.NextInt64();
        long cases = long.Parse(options.GetValueOrDefault("--cases", "9223372036854775807"), CultureInfo.InvariantCulture);
        if (options.ContainsKey("--isolated"))
        {
            return new IsolatedRun(target.Name, seed, cases, time, Console.Out).Run() ? 0 : 1;
        }

        using var limit = time is { } duration ? new CancellationTokenSource(duration) : new CancellationTokenSource();

        using CaseJournal? journal = options.TryGetValue("--journal", out string? file) ? CaseJournal.Open(file) : null;
        FuzzRun run = new(target, Console.Out, limit.Token)
        {
            Seed = seed,
            MaximumCases = cases,
            FirstCase = long.Parse(options.GetValueOrDefault("--first", "0"), CultureInfo.InvariantCulture),
            Journal = journal,
            OnlyCase = options.TryGetValue("--case", out string? only) ? Seeds.Parse(only) : null,
        };
        return run.Run() ? 0 : 1;
    }

    private static int Fail()
    {
        Console.Error.WriteLine(Usage);
        foreach (FuzzTarget target in Targets)
        {
            Console.Error.WriteLine($"  {target.Name,-14} {target.Description}");
        }

        return 2;
    }
}
