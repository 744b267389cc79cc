using System.Globalization;
using Uml.Fuzz.Boot;
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
        """;

    /// <summary>What can be attacked. A target is a line here and files of its own.</summary>
    public static IReadOnlyList<FuzzTarget> Targets { get; } =
    [
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
            if (args[i] is not ("--seconds" or "--cases" or "--seed" or "--case") || i + 1 == args.Length)
            {
                return Fail();
            }

            options[args[i]] = args[i + 1];
        }

        return target is null ? Fail() : Run(target, options);
    }

    private static int Run(FuzzTarget target, Dictionary<string, string> options)
    {
        using var limit = new CancellationTokenSource();
        if (options.TryGetValue("--seconds", out string? seconds))
        {
            limit.CancelAfter(TimeSpan.FromSeconds(double.Parse(seconds, CultureInfo.InvariantCulture)));
        }

        FuzzRun run = new(target, Console.Out, limit.Token)
        {
            Seed = options.TryGetValue("--seed", out string? seed) ? Seeds.Parse(seed) : (ulong)Random.Shared.NextInt64(),
            MaximumCases = long.Parse(options.GetValueOrDefault("--cases", "9223372036854775807"), CultureInfo.InvariantCulture),
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
