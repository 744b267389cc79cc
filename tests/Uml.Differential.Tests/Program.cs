using System.Diagnostics;
using System.Globalization;
using Iced.Intel;
using Uml.Differential.Tests.Engines;
using Uml.Differential.Tests.Generation;
using Uml.Differential.Tests.Native;
using Uml.Differential.Tests.Running;

namespace Uml.Differential.Tests;

/// <summary>The soak front end: <c>dotnet run -c Release --project tests/Uml.Differential.Tests -- --cases 1000000</c>.</summary>
internal static class Program
{
    private const string Usage = """
        Compares the interpreter with this machine's processor on random instructions.
          --cases N      about this many cases (default 1000000)
          --seconds N    stop after this time
          --seed S       seed of the run (default: random, printed)
          --code NAMES   only forms whose name starts with one of these, comma-separated (Iced's Code, such as Add_rm32_r32)
          --sequences    programs of several instructions instead of single ones
          --bits 32|64   compatibility or 64-bit mode (default 64)
          --list         print covered and excluded forms
          --full         print a report for every failing form, not only its name
        """;

    public static int Main(string[] args)
    {
        var options = new Dictionary<string, string>(StringComparer.Ordinal);
        for (int i = 0; i < args.Length; i++)
        {
            bool isFlag = args[i] is "--list" or "--full" or "--sequences";
            if (!isFlag && (args[i] is not ("--cases" or "--seconds" or "--seed" or "--code" or "--bits") || i + 1 == args.Length))
            {
                Console.Error.WriteLine(Usage);
                return 2;
            }

            options[args[i]] = isFlag ? "" : args[++i];
        }

        int bitness = int.Parse(options.GetValueOrDefault("--bits", "64"), CultureInfo.InvariantCulture);
        FormCatalog catalog = FormCatalog.For(bitness);
        return options.ContainsKey("--list") ? List(catalog) : Run(catalog, options);
    }

    private static int List(FormCatalog catalog)
    {
        foreach (OpCodeInfo form in catalog.Covered)
        {
            Console.WriteLine($"covered   {form.Code}");
        }

        foreach ((Code code, string reason) in catalog.Excluded)
        {
            Console.WriteLine($"excluded  {code}: {reason}");
        }

        return 0;
    }

    private static int Run(FormCatalog catalog, Dictionary<string, string> options)
    {
        if (!NativeExecutor.IsSupported)
        {
            Console.Error.WriteLine("The reference is an x86-64 processor under Linux; this machine is not one.");
            return 2;
        }

        ulong seed = options.TryGetValue("--seed", out string? text) ? Settings.ParseSeed(text) : (ulong)Random.Shared.NextInt64();
        long cases = long.Parse(options.GetValueOrDefault("--cases", "1000000"), CultureInfo.InvariantCulture);
        string[] names = options.GetValueOrDefault("--code", "").Split(',');
        List<OpCodeInfo> forms = [.. catalog.Covered.Where(form => names.Any(form.Code.ToString().StartsWith))];
        using var limit = new CancellationTokenSource();
        if (options.TryGetValue("--seconds", out string? seconds))
        {
            limit.CancelAfter(TimeSpan.FromSeconds(double.Parse(seconds, CultureInfo.InvariantCulture)));
        }

        using var native = new NativeExecutor(catalog.Bitness);
        using var interpreter = new InterpreterExecutor(catalog.Bitness);
        var run = new DifferentialRun(native, interpreter, catalog);
        var time = Stopwatch.StartNew();
        if (options.ContainsKey("--sequences"))
        {
            Console.WriteLine($"seed 0x{seed:x}, sequences");
            run.RunSequences(cases, seed, limit.Token);
        }
        else
        {
            Console.WriteLine($"seed 0x{seed:x}, {forms.Count} forms");
            run.RunForms(forms, Math.Max(1, cases / forms.Count), seed, limit.Token);
        }

        return Report(run, time.Elapsed, options.ContainsKey("--full"));
    }

    private static int Report(DifferentialRun run, TimeSpan elapsed, bool full)
    {
        foreach ((string form, (int count, string first)) in run.Failures)
        {
            Console.WriteLine(full ? $"{form}: {count} cases failed; the first:\n{first}" : $"{form}: {count} cases failed");
        }

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{run.CasesRun} cases in {elapsed.TotalSeconds:F1} s ({run.CasesRun / elapsed.TotalSeconds:F0} a second), {run.Failures.Count} forms failed"));
        return run.Failures.Count == 0 ? 0 : 1;
    }
}
