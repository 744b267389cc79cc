using System.Diagnostics;
using System.Globalization;
using Iced.Intel;
using Uml.Core;
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
          --bits 32|64   compatibility or 64-bit mode (default 64)
          --engine E     Jit or Interpreter (default Interpreter)
          --reference E  compare with another engine instead of this machine's processor
          --list         print covered and excluded forms
        A failing case prints environment variables that make this program run just that case: UML_DIFF_SEED, UML_DIFF_CODE (single
        instructions), UML_DIFF_KIND (programs of --edges) and UML_DIFF_BITS.
        """;

    private const int SequencesShare = 10;

    public static int Main(string[] args)
    {
        var options = new Dictionary<string, string>(StringComparer.Ordinal);
        for (int i = 0; i < args.Length; i++)
        {
            bool isFlag = args[i] is "--list" or "--sequences" or "--edges";
            if (!isFlag && (args[i] is not ("--cases" or "--seconds" or "--seed" or "--code" or "--bits" or "--engine" or "--reference") || i + 1 == args.Length))
            {
                return Fail(Usage);
            }

            options[args[i]] = isFlag ? "" : args[++i];
        }

        string bits = Environment.GetEnvironmentVariable("UML_DIFF_BITS") ?? options.GetValueOrDefault("--bits", "64");
        if (bits is not ("32" or "64"))
        {
            return Fail(Usage);
        }

        FormCatalog catalog = FormCatalog.For(int.Parse(bits, CultureInfo.InvariantCulture));
        if (options.ContainsKey("--list"))
        {
            return List(catalog);
        }

        if (options.ContainsKey("--edges") && !options.ContainsKey("--reference"))
        {
            return Fail("--edges needs --reference: this machine's processor does not run code that may be written.");
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
        bool hasReference = options.TryGetValue("--reference", out string? other);
        using IExecutor reference = hasReference
            ? new VirtualCpuExecutor(catalog.Bitness, Enum.Parse<CpuEngine>(other!, ignoreCase: true), writableCode: true)
            : new NativeExecutor(catalog.Bitness);
        string engine = options.GetValueOrDefault("--engine", nameof(CpuEngine.Interpreter));
        using var subject = new VirtualCpuExecutor(catalog.Bitness, Enum.Parse<CpuEngine>(engine, ignoreCase: true), writableCode: hasReference);
        using var run = new DifferentialRun(reference, subject, catalog);
        var time = Stopwatch.StartNew();
        if (Environment.GetEnvironmentVariable("UML_DIFF_SEED") is { } seed)
        {
            ProgramKind kind = Enum.Parse<ProgramKind>(Environment.GetEnvironmentVariable("UML_DIFF_KIND") ?? nameof(ProgramKind.Sequence));
            run.Replay(Seeds.Parse(seed), Environment.GetEnvironmentVariable("UML_DIFF_CODE"), kind);
        }
        else
        {
            RunMany(run, catalog, options);
        }

        foreach ((string form, (int count, string first)) in run.Failures)
        {
            Console.WriteLine($"{form}: {count} cases failed; the first:\n{first}");
        }

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{run.CasesRun} cases in {time.Elapsed.TotalSeconds:F1} s, {run.Failures.Count} forms failed"));
        return run.Failures.Count == 0 ? 0 : 1;
    }

    private static void RunMany(DifferentialRun run, FormCatalog catalog, Dictionary<string, string> options)
    {
        ulong seed = options.TryGetValue("--seed", out string? text) ? Seeds.Parse(text) : Random.Shared.NextUInt64();
        long cases = long.Parse(options.GetValueOrDefault("--cases", "1000000"), CultureInfo.InvariantCulture);
        using var limit = new CancellationTokenSource();
        if (options.TryGetValue("--seconds", out string? seconds))
        {
            limit.CancelAfter(TimeSpan.FromSeconds(double.Parse(seconds, CultureInfo.InvariantCulture)));
        }

        string[] names = options.GetValueOrDefault("--code", "").Split(',');
        List<OpCodeInfo> forms = [.. catalog.Covered.Where(form => names.Any(name => IsNamed(form, name)))];
        Console.WriteLine($"{catalog.Bitness}-bit, {forms.Count} forms, seed 0x{seed:x}");
        if (options.ContainsKey("--edges"))
        {
            run.RunPrograms([ProgramKind.PageEnd, ProgramKind.SelfModifying], cases, seed, limit.Token);
            return;
        }

        if (options.ContainsKey("--sequences"))
        {
            run.RunPrograms([ProgramKind.Sequence], cases, seed, limit.Token);
            return;
        }

        run.RunForms(forms, Math.Max(1, cases / Math.Max(1, forms.Count)), seed, limit.Token);
        if (!options.ContainsKey("--code"))
        {
            run.RunPrograms([ProgramKind.Sequence], cases / SequencesShare, seed, limit.Token);
        }
    }
}
