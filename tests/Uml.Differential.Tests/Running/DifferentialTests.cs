using System.Globalization;
using Iced.Intel;
using Uml.Differential.Tests.Engines;
using Uml.Differential.Tests.Generation;
using Uml.Differential.Tests.Native;

namespace Uml.Differential.Tests.Running;

/// <summary>
/// The interpreter against the host's processor. A failure prints environment variables that replay it: <c>UML_DIFF_SEED</c>, with
/// <c>UML_DIFF_CODE</c> for a single instruction, and <c>UML_DIFF_BITS=32</c> for compatibility mode. <c>UML_DIFF_CASES</c> sets the
/// cases per form.
/// </summary>
[TestFixture(64)]
[TestFixture(32)]
[Platform("Linux")]
internal sealed class DifferentialTests(int bitness)
{
    private const int DefaultCases = 16, SequencesPerCase = 200, ReportsShown = 8;

    private NativeExecutor _native = null!;
    private InterpreterExecutor _interpreter = null!;
    private DifferentialRun _run = null!;
    private FormCatalog _catalog = null!;

    private static int Cases => Read("UML_DIFF_CASES") is { } text ? int.Parse(text, CultureInfo.InvariantCulture) : DefaultCases;

    [SetUp]
    public void SetUp()
    {
        if (!NativeExecutor.IsSupported)
        {
            Assert.Ignore("The host is not Linux on x86-64.");
        }

        _catalog = FormCatalog.For(bitness);
        _native = new NativeExecutor(bitness);
        _interpreter = new InterpreterExecutor(bitness);
        _run = new DifferentialRun(_native, _interpreter, _catalog);
    }

    [TearDown]
    public void TearDown()
    {
        _interpreter?.Dispose();
        _native?.Dispose();
    }

    [Test]
    public void Single_instructions_leave_the_state_the_processor_leaves()
    {
        ulong seed = Random.Shared.NextUInt64();
        TestContext.Out.WriteLine($"{bitness}-bit, seed of the run 0x{seed:x}");
        _run.RunForms(_catalog.Covered, Cases, seed);
        Report();
    }

    [Test]
    public void Sequences_leave_the_state_the_processor_leaves()
    {
        ulong seed = Random.Shared.NextUInt64();
        TestContext.Out.WriteLine($"{bitness}-bit, seed of the run 0x{seed:x}");
        _run.RunSequences(Cases * SequencesPerCase, seed);
        Report();
    }

    [Test]
    public void What_once_differed_does_not_any_more()
    {
        foreach (Regression regression in Regressions.All.Where(regression => regression.Bitness == bitness))
        {
            if (regression.Form is { } form)
            {
                _run.RunForm(form.ToOpCode(), regression.Seed);
            }
            else
            {
                _run.RunSequence(regression.Seed);
            }
        }

        Report();
    }

    [Test]
    [Explicit("Replays what UML_DIFF_SEED and UML_DIFF_CODE say.")]
    public void Replay()
    {
        string? seed = Read("UML_DIFF_SEED");
        if (seed is null || Read("UML_DIFF_BITS") is { } bits && bits != bitness.ToString(CultureInfo.InvariantCulture))
        {
            Assert.Ignore("UML_DIFF_SEED is not set, or UML_DIFF_BITS names the other mode.");
        }

        if (Read("UML_DIFF_CODE") is { } code)
        {
            _run.RunForm(Enum.Parse<Code>(code).ToOpCode(), Settings.ParseSeed(seed));
        }
        else
        {
            _run.RunSequence(Settings.ParseSeed(seed));
        }

        Report();
    }

    private void Report()
    {
        TestContext.Out.WriteLine($"{_run.CasesRun} cases");
        string reports = string.Join('\n', _run.Failures.Take(ReportsShown).Select(failure => $"{failure.Key}: {failure.Value.Count} cases\n{failure.Value.First}"));
        Assert.That(_run.Failures, Is.Empty, reports);
    }

    private static string? Read(string variable) => Environment.GetEnvironmentVariable(variable);
}

internal static class RandomExtensions
{
    public static ulong NextUInt64(this Random random) => ((ulong)random.NextInt64() << 1) ^ (ulong)random.NextInt64();
}
