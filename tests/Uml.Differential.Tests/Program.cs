using System.Diagnostics;
using System.Globalization;
using Iced.Intel;
using Uml.Core.Cpu;
using Uml.Differential.Tests.Engines;
using Uml.Differential.Tests.Generation;
using Uml.Differential.Tests.Native;
using Uml.Differential.Tests.Running;

namespace Uml.Differential.Tests;

/// <summary>The soak front end: <c>dotnet run -c Release --project tests/Uml.Differential.Tests -- --cases 5000000</c>.</summary>
internal static class Program
{
    private const string Usage = """
        Compares an engine with this machine's processor: random instructions, then random programs.
          --cases N      about this many single instructions, and a tenth as many programs (default 1000000)
          --seconds N    stop after this time
          --seed S       seed of the run (default: random, printed)
          --code NAMES   only single instructions whose form or mnemonic starts with one of these, comma-separated (Iced's Code, as Add_rm32_r32)
          --sequences    only programs, as many as --cases says
          --edges        only programs with operands around page ends, and that change themselves; they need --reference
          --prefixes     only single instructions with redundant, repeated and misplaced prefixes: all patterns of one and two for each form,
                         then random ones (default: each pattern once)
          --bytes        only loops of random bytes and damaged instructions that may change themselves, with addresses of the host in
                         registers; Jit against Interpreter
          --from N       begin with that case of --prefixes and --bytes
          --bits 32|64   compatibility or 64-bit mode (default 64)
          --engine E     Jit or Interpreter (default Interpreter)
          --reference E  compare with another engine instead of this machine's processor
          --list         print covered and excluded forms
        A failing case prints environment variables that make this program run just that case: UML_DIFF_SEED, UML_DIFF_CODE (single
        instructions), UML_DIFF_PREFIXES (those of --prefixes), UML_DIFF_KIND (programs of --edges and --bytes) and UML_DIFF_BITS.
        --prefixes and --bytes run in processes of their own: a case that ends one is reported, and the next process goes on behind it.
        """;

    private const int SequencesShare = 10;
    private const long DefaultCases = 1_000_000;

    public static int Main(string[] args)
    {
        if (args is ["--help" or "-h" or "-?"])
        {
            Console.WriteLine(Usage);
            return 0;
        }

        Dictionary<string, string> options = SoakOptions.Parse(args, out string? problem);
        if (problem is not null)
        {
            return Fail(problem);
        }

        string bits = Environment.GetEnvironmentVariable("UML_DIFF_BITS") ?? options.GetValueOrDefault("--bits", "64");
        if (bits is not ("32" or "64"))
        {
            return Fail($"UML_DIFF_BITS is '{bits}'; write 32 or 64.");
        }

        FormCatalog catalog = FormCatalog.For(int.Parse(bits, CultureInfo.InvariantCulture));
        if (options.ContainsKey("--list"))
        {
            return List(catalog);
        }

        if (options.TryGetValue("--code", out string? names)
            && Array.Find(names.Split(','), name => !catalog.Covered.Any(form => IsNamed(form, name))) is { } unknown)
        {
            return Fail($"--code: no covered form or mnemonic of {bits}-bit code starts with '{unknown}'; --list tells what there is.");
        }

        if (options.ContainsKey("--edges") && !options.ContainsKey("--reference"))
        {
            return Fail("--edges needs --reference: this machine's processor does not run code that may be written.");
        }

        if (options.ContainsKey("--bytes"))
        {
            options.TryAdd("--engine", nameof(CpuEngine.Jit));
            options.TryAdd("--reference", nameof(CpuEngine.Interpreter));
        }

        bool isRunnable = NativeExecutor.IsSupported && (catalog.Bitness == 64 || HostProcessor.HasCode32);
        return isRunnable || options.ContainsKey("--reference")
            ? Run(catalog, options)
            : Fail("Without --reference, the reference is an x86-64 processor under Linux, for --bits 32 one whose user mode has a 32-bit code segment; this machine is not one.");
    }

    private static bool IsNamed(OpCodeInfo form, string name) =>
        form.Code.ToString().StartsWith(name, StringComparison.Ordinal) || form.Mnemonic.ToString().StartsWith(name, StringComparison.Ordinal);

    private static int Fail(string message)
    {
        Console.Error.WriteLine(message);
        return 2;
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

        Console.WriteLine($"{catalog.Covered.Count} covered, {catalog.Excluded.Count} excluded");
        return 0;
    }

    private static int Run(FormCatalog catalog, Dictionary<string, string> options)
    {
        string? replayed = Environment.GetEnvironmentVariable("UML_DIFF_SEED");
        string? prefixes = Environment.GetEnvironmentVariable("UML_DIFF_PREFIXES");
        ProgramKind kind = Enum.Parse<ProgramKind>(Environment.GetEnvironmentVariable("UML_DIFF_KIND") ?? nameof(ProgramKind.Sequence));
        bool isHostile = options.ContainsKey("--prefixes") || options.ContainsKey("--bytes") || prefixes is not null || kind == ProgramKind.Bytes;
        if (isHostile && replayed is null && !options.ContainsKey("--child"))
        {
            return Supervise(catalog, options);
        }

        bool hasReference = options.TryGetValue("--reference", out string? other);
        int resumes = options.ContainsKey("--bytes") || kind == ProgramKind.Bytes ? VirtualCpuExecutor.Resumes : 0;
        using IExecutor reference = hasReference
            ? new VirtualCpuExecutor(catalog.Bitness, Enum.Parse<CpuEngine>(other!, ignoreCase: true), writableCode: true, resumes)
            : new NativeExecutor(catalog.Bitness);
        string engine = options.GetValueOrDefault("--engine", nameof(CpuEngine.Interpreter));
        using var subject = new VirtualCpuExecutor(catalog.Bitness, Enum.Parse<CpuEngine>(engine, ignoreCase: true), writableCode: hasReference, resumes);
        using HostCanary? canary = isHostile && hasReference ? new HostCanary() : null;
        using Progress? progress = options.TryGetValue("--child", out string? path) ? new Progress(path) : null;
        using var run = new DifferentialRun(reference, subject, catalog, canary) { Progress = progress, Failed = Console.WriteLine };
        var time = Stopwatch.StartNew();
        if (replayed is not null)
        {
            run.Replay(Seeds.Parse(replayed), Environment.GetEnvironmentVariable("UML_DIFF_CODE"), kind, prefixes);
        }
        else
        {
            RunMany(run, catalog, options);
        }

        foreach ((string form, (int count, _)) in run.Failures)
        {
            Console.WriteLine($"{form}: {count} cases failed");
        }

        string leftOut = isHostile ? $", {run.CasesLeftOut} left out, {run.ProgramsUndefined} undefined" : "";
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{run.CasesRun} cases in {time.Elapsed.TotalSeconds:F1} s, {run.Failures.Count} forms failed{leftOut}"));
        return run.Failures.Count == 0 ? 0 : 1;
    }

    /// <summary>Runs what may end the process in others.</summary>
    private static int Supervise(FormCatalog catalog, Dictionary<string, string> options)
    {
        ulong seed = Seed(options);
        List<OpCodeInfo> forms = Forms(catalog, options);
        Console.WriteLine($"{HostProcessor.Description}, {catalog.Bitness}-bit, {forms.Count} forms, seed 0x{seed:x}");
        long cases = options.ContainsKey("--prefixes") && !options.ContainsKey("--cases")
            ? (long)new PrefixPatterns(catalog.Bitness).Systematic * forms.Count
            : Number(options, "--cases", DefaultCases);
        double seconds = double.Parse(options.GetValueOrDefault("--seconds", "Infinity"), CultureInfo.InvariantCulture);
        string[] passedOn = [.. options.Where(option => option.Key is not ("--seed" or "--from" or "--cases" or "--seconds"))
            .SelectMany(option => option.Value.Length == 0 ? [option.Key] : new[] { option.Key, option.Value })];
        return new Supervisor(passedOn, catalog).Run(seed, Number(options, "--from", 0), cases, seconds) ? 0 : 1;
    }

    private static ulong Seed(Dictionary<string, string> options) =>
        options.TryGetValue("--seed", out string? text) ? Seeds.Parse(text) : Random.Shared.NextUInt64();

    private static long Number(Dictionary<string, string> options, string name, long missing) =>
        options.TryGetValue(name, out string? text) ? long.Parse(text, CultureInfo.InvariantCulture) : missing;

    private static List<OpCodeInfo> Forms(FormCatalog catalog, Dictionary<string, string> options)
    {
        string[] names = options.GetValueOrDefault("--code", "").Split(',');
        return [.. catalog.Covered.Where(form => names.Any(name => IsNamed(form, name)))];
    }

    private static void RunMany(DifferentialRun run, FormCatalog catalog, Dictionary<string, string> options)
    {
        ulong seed = Seed(options);
        long cases = Number(options, "--cases", DefaultCases), from = Number(options, "--from", 0);
        using var limit = new CancellationTokenSource();
        if (options.TryGetValue("--seconds", out string? text) && double.Parse(text, CultureInfo.InvariantCulture) is var seconds && double.IsFinite(seconds))
        {
            limit.CancelAfter(TimeSpan.FromSeconds(seconds));
        }

        List<OpCodeInfo> forms = Forms(catalog, options);
        if (!options.ContainsKey("--child"))
        {
            Console.WriteLine($"{HostProcessor.Description}, {catalog.Bitness}-bit, {forms.Count} forms, seed 0x{seed:x}");
        }

        if (options.ContainsKey("--edges"))
        {
            run.RunPrograms([ProgramKind.PageEnd, ProgramKind.SelfModifying], cases, seed, limit.Token);
        }
        else if (options.ContainsKey("--bytes"))
        {
            run.RunPrograms([ProgramKind.Bytes], from, cases, seed, limit.Token);
        }
        else if (options.ContainsKey("--prefixes"))
        {
            run.RunPrefixes(forms, from, cases, seed, limit.Token);
        }
        else if (options.ContainsKey("--sequences"))
        {
            run.RunPrograms([ProgramKind.Sequence], cases, seed, limit.Token);
        }
        else
        {
            run.RunForms(forms, Math.Max(1, cases / Math.Max(1, forms.Count)), seed, limit.Token);
            if (!options.ContainsKey("--code"))
            {
                run.RunPrograms([ProgramKind.Sequence], cases / SequencesShare, seed, limit.Token);
            }
        }
    }
}
