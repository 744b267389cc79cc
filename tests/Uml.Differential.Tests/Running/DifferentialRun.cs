using System.Globalization;
using Iced.Intel;
using Uml.Core.Cpu.Verify;
using Uml.Differential.Tests.Comparison;
using Uml.Differential.Tests.Engines;
using Uml.Differential.Tests.Generation;
using Uml.Differential.Tests.Native;

namespace Uml.Differential.Tests.Running;

/// <summary>A run over many cases, all derived from one seed.</summary>
internal sealed class DifferentialRun : IDisposable
{
    private const int DefaultCases = 16, ReportsShown = 8;

    private readonly Watchdog _watchdog = new();
    private readonly IExecutor _reference;
    private readonly Differ _differ;
    private readonly CaseGenerator _cases;
    private readonly ProgramGenerator _programs;
    private readonly PrefixGenerator _prefixes;
    private readonly UndefinedTrace _undefined;

    /// <param name="reference">The engine that is right.</param>
    /// <param name="subject">The engine that is tested.</param>
    /// <param name="catalog">The forms.</param>
    /// <param name="canary">Memory of the host that the subject must not reach; null when there is none.</param>
    public DifferentialRun(IExecutor reference, IExecutor subject, FormCatalog catalog, HostCanary? canary = null)
    {
        _reference = reference;
        _differ = new Differ(reference, subject)
        {
            FindTrace = reference is NativeExecutor native ? (_, _) => native.FindForeignWrite()
                : canary is null ? null
                : (test, outcome) => canary.Check() ?? FindLeak(test, outcome),
        };
        _cases = new CaseGenerator(catalog.Bitness);
        _programs = new ProgramGenerator(catalog);
        _prefixes = new PrefixGenerator(catalog, reference is NativeExecutor);
        _undefined = new UndefinedTrace(catalog.Bitness);
    }

    /// <summary>Told before each case of a long run.</summary>
    public Progress? Progress { get; init; }

    /// <summary>Told the report of the first case of each group that fails.</summary>
    public Action<string>? Failed { get; init; }

    /// <summary>Cases of <see cref="RunPrefixes"/> that were not run.</summary>
    public long CasesLeftOut { get; private set; }

    /// <summary>Programs that differ after an instruction that leaves flags undefined.</summary>
    public long ProgramsUndefined { get; private set; }

    /// <summary>Cases of each form in a run of the tests.</summary>
    public static int CasesPerForm => Environment.GetEnvironmentVariable("UML_DIFF_CASES") is { } text ? int.Parse(text, CultureInfo.InvariantCulture) : DefaultCases;

    /// <summary>Failures by form, with how many cases of it failed and the report of the first.</summary>
    public SortedDictionary<string, (int Count, string First)> Failures { get; } = new(StringComparer.Ordinal);

    public long CasesRun => _differ.CasesRun;

    /// <summary>The exceptions that ended cases in the reference, <see cref="MachineSnapshot.Completed"/> among them.</summary>
    public SortedSet<int> Vectors { get; } = [];

    public void Dispose()
    {
        _watchdog.Dispose();
        _undefined.Dispose();
    }

    /// <summary>Fails the test with the first reports.</summary>
    public void AssertNothingFailed()
    {
        string reports = string.Join('\n', Failures.Take(ReportsShown).Select(failure => $"{failure.Key}: {failure.Value.Count} cases\n{failure.Value.First}"));
        Assert.That(Failures, Is.Empty, reports);
    }

    /// <summary>Runs <paramref name="casesPerForm"/> cases of each form.</summary>
    /// <param name="forms">The forms.</param>
    /// <param name="casesPerForm">How many cases of each.</param>
    /// <param name="seed">Seed of the run; case seeds derive from it.</param>
    /// <param name="deadline">Stops early when it is reached.</param>
    public void RunForms(IReadOnlyList<OpCodeInfo> forms, long casesPerForm, ulong seed, CancellationToken deadline = default)
    {
        for (long i = 0; i < casesPerForm; i++)
        {
            foreach (OpCodeInfo form in forms)
            {
                if (deadline.IsCancellationRequested)
                {
                    return;
                }

                if (_reference.Runs(form.Code))
                {
                    RunForm(form, Rng.Derive(seed, ((ulong)i << 16) | (ushort)form.Code));
                }
            }
        }
    }

    /// <summary>Runs the one case a seed stands for.</summary>
    public void RunForm(OpCodeInfo form, ulong caseSeed)
    {
        TestCase test = _cases.Create(form, caseSeed);
        Note(form.Code.ToString(), test, RunGuarded(test));
    }

    /// <summary>Runs cases with other prefixes than forms have: all patterns in turn, random ones after those, and of each all forms.</summary>
    /// <param name="forms">The forms.</param>
    /// <param name="from">The first case; runs with one seed go on where another ended.</param>
    /// <param name="count">How many cases.</param>
    /// <param name="seed">Seed of the run; case seeds derive from it.</param>
    /// <param name="deadline">Stops early when it is reached.</param>
    public void RunPrefixes(IReadOnlyList<OpCodeInfo> forms, long from, long count, ulong seed, CancellationToken deadline = default)
    {
        for (long i = from; i < from + count && !deadline.IsCancellationRequested; i++)
        {
            OpCodeInfo form = forms[(int)(i % forms.Count)];
            Run(form, Rng.Derive(seed, (ulong)i), (int)Math.Min(i / forms.Count, _prefixes.Systematic), i);
        }
    }

    /// <summary>Runs some of the patterns of prefixes for each form, of which the seed says which.</summary>
    public void SamplePrefixes(IReadOnlyList<OpCodeInfo> forms, int perForm, ulong seed, CancellationToken deadline = default)
    {
        for (long i = 0; i < (long)perForm * forms.Count && !deadline.IsCancellationRequested; i++)
        {
            ulong own = Rng.Derive(seed, (ulong)i);
            Run(forms[(int)(i % forms.Count)], own, new Rng(own + 1).Below(_prefixes.Systematic * 3 / 2), i);
        }
    }

    private void Run(OpCodeInfo form, ulong seed, int pattern, long number)
    {
        if (_prefixes.Create(form, seed, pattern) is { } test)
        {
            Progress?.Note(number, test);
            Note(form.Code.ToString(), test, RunGuarded(test));
        }
        else
        {
            CasesLeftOut++;
        }
    }

    /// <summary>Runs <paramref name="count"/> programs of several instructions, of the kinds in turn.</summary>
    public void RunPrograms(ReadOnlySpan<ProgramKind> kinds, long count, ulong seed, CancellationToken deadline = default) =>
        RunPrograms(kinds, 0, count, seed, deadline);

    /// <summary>The same from a case on: runs with one seed go on where another ended.</summary>
    public void RunPrograms(ReadOnlySpan<ProgramKind> kinds, long from, long count, ulong seed, CancellationToken deadline)
    {
        for (long i = from; i < from + count && !deadline.IsCancellationRequested; i++)
        {
            RunProgram(kinds[(int)(i % kinds.Length)], Rng.Derive(seed, (ulong)i), i);
        }
    }

    /// <summary>Runs the one program a seed stands for, and shrinks it when it fails.</summary>
    public void RunProgram(ProgramKind kind, ulong caseSeed, long number = 0)
    {
        TestCase test = _programs.Create(kind, caseSeed);
        Progress?.Note(number, test);
        List<string> differences = RunGuarded(test);
        if (differences.Count > 0)
        {
            string group = Group(test, differences);
            if (!Failures.ContainsKey(group))
            {
                test = Shrinker.Shrink(test, smaller => RunGuarded(smaller) is { Count: > 0 } left && Group(smaller, left) == group);
                differences = RunGuarded(test);
            }

            Note(group, test, differences);
        }
    }

    /// <summary>Memory of the host that the case did not begin with: random numbers are like it once in a million cases.</summary>
    private static string? FindLeak(TestCase test, Outcome outcome) =>
        HostCanary.FindLeak(ref outcome.State, outcome.Memory) is { } leak && HostCanary.FindLeak(ref test.State, test.Memory) is null ? leak : null;

    /// <summary>Programs of arbitrary bytes fail in more than one way.</summary>
    private static string Group(TestCase test, List<string> differences)
    {
        int end = differences[0].IndexOf(": ", StringComparison.Ordinal);
        return test.Kind == ProgramKind.Bytes ? $"({test.Kind}) {differences[0][..(end < 0 ? ^0 : end)]}" : $"({test.Kind})";
    }

    /// <summary>Runs one case: of the named form, or a program when there is no name.</summary>
    /// <param name="caseSeed">Its seed.</param>
    /// <param name="form">Name of the form, or null.</param>
    /// <param name="kind">Of a program.</param>
    /// <param name="prefixes">In hexadecimal, those that the form gets in place of its own; or null.</param>
    public void Replay(ulong caseSeed, string? form, ProgramKind kind = ProgramKind.Sequence, string? prefixes = null)
    {
        if (string.IsNullOrEmpty(form))
        {
            RunProgram(kind, caseSeed);
        }
        else if (prefixes is not null)
        {
            TestCase? test = _prefixes.Create(Enum.Parse<Code>(form).ToOpCode(), caseSeed, Convert.FromHexString(prefixes));
            if (test is not null)
            {
                Note(form, test, RunGuarded(test));
            }
        }
        else
        {
            RunForm(Enum.Parse<Code>(form).ToOpCode(), caseSeed);
        }
    }

    /// <summary>An engine that throws is as wrong as one that computes something else, and needs the same report.</summary>
    private List<string> RunGuarded(TestCase test)
    {
        _watchdog.Watch(test);
        try
        {
            List<string> differences = _differ.Run(test);
            Vectors.Add(_differ.LastVector);
            if (differences.Count > 0 && test.Kind == ProgramKind.Bytes && !_differ.LeftTrace && _undefined.Explains(test, _differ.FirstDifferentStop))
            {
                ProgramsUndefined++;
                return [];
            }

            return differences;
        }
        catch (Exception e) when (e is NotImplementedException or InvalidOperationException or ArgumentException or TranslationRefusedException)
        {
            return [$"the engine threw: {e}"];
        }
        finally
        {
            _watchdog.Watch(null);
        }
    }

    private void Note(string group, TestCase test, List<string> differences)
    {
        if (differences.Count == 0)
        {
            return;
        }

        if (Failures.TryGetValue(group, out (int Count, string First) known))
        {
            Failures[group] = (known.Count + 1, known.First);
            return;
        }

        string report = _differ.Explain(test, differences);
        Failures[group] = (1, report);
        Failed?.Invoke($"{group}, case {CasesRun} of the process:\n{report}");
    }
}
