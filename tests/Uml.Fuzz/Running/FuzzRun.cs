using System.Diagnostics;
using System.Globalization;

namespace Uml.Fuzz.Running;

/// <summary>A run of one target: makes the cases, watches over each, and reports what went wrong with a command that repeats it.</summary>
internal sealed class FuzzRun(FuzzTarget target, TextWriter output, CancellationToken stop)
{
    private const int MaximumFailureKinds = 20;

    private readonly SortedDictionary<string, long> _outcomes = new(StringComparer.Ordinal);
    private readonly Dictionary<string, long> _failures = new(StringComparer.Ordinal);

    /// <summary>The seed that those of all cases follow from.</summary>
    public required ulong Seed { get; init; }

    /// <summary>The most cases to run.</summary>
    public required long MaximumCases { get; init; }

    /// <summary>The number of the first case to run: a run that goes on behind a case that ended the process.</summary>
    public long FirstCase { get; init; }

    /// <summary>Where the case that runs is noted, for whoever watches this process; null for nowhere.</summary>
    public CaseJournal? Journal { get; init; }

    /// <summary>The seed of the only case to run; null runs cases of <see cref="Seed"/>.</summary>
    public ulong? OnlyCase { get; init; }

    /// <summary>What a case may use; a target that needs other limits sets them before its first case.</summary>
    public FuzzLimits Limits { get; set; } = new(TimeSpan.FromSeconds(2), 256L << 20, 512L << 20);

    /// <summary>When a case that runs counts as hanging: then the process ends, because nothing else ends it.</summary>
    public TimeSpan HangTime { get; set; } = TimeSpan.FromMinutes(2);

    /// <summary>The cases run.</summary>
    public long Cases { get; private set; }

    /// <summary>The kinds of failures and how many cases had each.</summary>
    public IReadOnlyDictionary<string, long> Failures => _failures;

    /// <summary>Ends the run.</summary>
    public CancellationToken Stop => stop;

    /// <summary>Runs the target.</summary>
    /// <returns>Whether no case failed.</returns>
    public bool Run()
    {
        output.WriteLine(OnlyCase is ulong only ? $"{target.Name}, case 0x{only:x}" : $"{target.Name}, seed 0x{Seed:x}");
        var time = Stopwatch.StartNew();
        target.Body(this);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{Cases} cases in {time.Elapsed.TotalSeconds:F1} s, {_failures.Values.Sum()} failed; {string.Join(", ", _outcomes.Select(pair => $"{pair.Key} {pair.Value}"))}"));
        return _failures.Count == 0 && Cases > 0;
    }

    /// <summary>
    /// Runs the cases. A case fails when it throws anything (it catches the errors that the target is documented to throw), uses
    /// more than <see cref="Limits"/>, or does not come back.
    /// </summary>
    /// <param name="test">One case.</param>
    public void ForEachCase(Action<FuzzCase> test)
    {
        using HangWatch watch = new(HangTime, hanging => output.WriteLine(
            $"The case hangs; the process ends.\n  {hanging.Description}\nRepeat it with\n  {Command(hanging.Seed)}"));
        if (OnlyCase is ulong only)
        {
            RunCase(new FuzzCase(only, Count), 0, test, watch);
            return;
        }

        for (long i = FirstCase; i - FirstCase < MaximumCases && !stop.IsCancellationRequested && _failures.Count < MaximumFailureKinds; i++)
        {
            RunCase(new FuzzCase(Seeds.Derive(Seed, (ulong)i), Count), i, test, watch);
        }
    }

    private void RunCase(FuzzCase current, long number, Action<FuzzCase> test, HangWatch watch)
    {
        Cases++;
        Journal?.Note(number);
        ResourceUse use = ResourceUse.Begin();
        watch.Begin(current);
        try
        {
            test(current);
            if (use.Exceeded(Limits) is string excess)
            {
                Fail(current, excess[..excess.IndexOf(':', StringComparison.Ordinal)], excess);
            }
        }
#pragma warning disable CA1031 // Whatever a case throws is the finding.
        catch (Exception e)
#pragma warning restore CA1031
        {
            string where = new StackTrace(e).GetFrame(0)?.GetMethod() is { } method ? $"{method.DeclaringType}.{method.Name}" : "?";
            Fail(current, $"{e.GetType()} in {where}", e.ToString());
        }
        finally
        {
            watch.End();
        }
    }

    private void Fail(FuzzCase failed, string kind, string details)
    {
        _failures[kind] = _failures.GetValueOrDefault(kind) + 1;
        if (_failures[kind] == 1)
        {
            output.WriteLine($"FAILED, {kind}\n  {failed.Description}\n  {details}\nRepeat it with\n  {Command(failed.Seed)}");
        }
    }

    private void Count(string outcome) => _outcomes[outcome] = _outcomes.GetValueOrDefault(outcome) + 1;

    /// <summary>What repeats one case.</summary>
    public static string Command(string target, ulong seed) => $"dotnet run -c Release --project tests/Uml.Fuzz -- {target} --case 0x{seed:x}";

    private string Command(ulong seed) => Command(target.Name, seed);
}
