using System.Globalization;
using Iced.Intel;
using Uml.Differential.Tests.Engines;
using Uml.Differential.Tests.Generation;

namespace Uml.Differential.Tests.Running;

/// <summary>A run over many cases, all derived from one seed.</summary>
internal sealed class DifferentialRun(IExecutor reference, IExecutor subject, FormCatalog catalog) : IDisposable
{
    private const int DefaultCases = 16, ReportsShown = 8;

    private readonly Watchdog _watchdog = new();
    private readonly Differ _differ = new(reference, subject);
    private readonly CaseGenerator _cases = new(catalog.Bitness);
    private readonly ProgramGenerator _programs = new(catalog);

    /// <summary>Cases of each form in a run of the tests.</summary>
    public static int CasesPerForm => Environment.GetEnvironmentVariable("UML_DIFF_CASES") is { } text ? int.Parse(text, CultureInfo.InvariantCulture) : DefaultCases;

    /// <summary>Failures by form, with how many cases of it failed and the report of the first.</summary>
    public SortedDictionary<string, (int Count, string First)> Failures { get; } = new(StringComparer.Ordinal);

    public long CasesRun => _differ.CasesRun;

    /// <summary>The exceptions that ended cases in the reference, <see cref="MachineSnapshot.Completed"/> among them.</summary>
    public SortedSet<int> Vectors { get; } = [];

    public void Dispose() => _watchdog.Dispose();

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

                if (reference.Runs(form.Code))
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

    /// <summary>Runs <paramref name="count"/> programs of several instructions, of the kinds in turn.</summary>
    public void RunPrograms(ReadOnlySpan<ProgramKind> kinds, long count, ulong seed, CancellationToken deadline = default)
    {
        for (long i = 0; i < count && !deadline.IsCancellationRequested; i++)
        {
            RunProgram(kinds[(int)(i % kinds.Length)], Rng.Derive(seed, (ulong)i));
        }
    }

    /// <summary>Runs the one program a seed stands for, and shrinks it when it fails.</summary>
    public void RunProgram(ProgramKind kind, ulong caseSeed)
    {
        TestCase test = _programs.Create(kind, caseSeed);
        List<string> differences = RunGuarded(test);
        if (differences.Count > 0)
        {
            string group = $"({kind})";
            if (!Failures.ContainsKey(group))
            {
                test = Shrinker.Shrink(test, smaller => RunGuarded(smaller).Count > 0);
                differences = RunGuarded(test);
            }

            Note(group, test, differences);
        }
    }

    /// <summary>Runs one case: of the named form, or a program when there is no name.</summary>
    public void Replay(ulong caseSeed, string? form, ProgramKind kind = ProgramKind.Sequence)
    {
        if (string.IsNullOrEmpty(form))
        {
            RunProgram(kind, caseSeed);
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
            return differences;
        }
        catch (Exception e) when (e is NotImplementedException or InvalidOperationException or ArgumentException)
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

        Failures[group] = Failures.TryGetValue(group, out (int Count, string First) known)
            ? (known.Count + 1, known.First)
            : (1, _differ.Explain(test, differences));
    }
}
