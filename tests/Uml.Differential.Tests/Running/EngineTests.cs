using System.Globalization;
using Uml.Core;
using Uml.Differential.Tests.Engines;
using Uml.Differential.Tests.Generation;

namespace Uml.Differential.Tests.Running;

/// <summary>
/// The translator against the interpreter, in states the host's processor cannot be put into, and in 32-bit code, for which not every host
/// has a segment. Besides everything a program can see, the counts of retired instructions and the code itself are compared.
/// </summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
[Platform("Linux")]
[CancelAfter(300_000)]
[TestFixture(64)]
[TestFixture(32)]
internal sealed class EngineTests(int bitness) : IDisposable
{
    private const int CasesPerForm = 16, ProgramsPerCase = 200, ReportsShown = 3;

    private readonly EdgeGenerator _edges = new(FormCatalog.For(bitness));
    private readonly SequenceGenerator _sequences = new(FormCatalog.For(bitness));
    private readonly CaseGenerator _singles = new(bitness);
    private readonly VirtualCpuExecutor _interpreter = new(bitness, CpuEngine.Interpreter, writableCode: true);
    private readonly VirtualCpuExecutor _jit = new(bitness, CpuEngine.Jit, writableCode: true);
    private readonly HashSet<int> _vectors = [];
    private readonly List<string> _reports = [];
    private Differ? _differ;
    private int _changed;

    private static int Cases => Environment.GetEnvironmentVariable("UML_DIFF_CASES") is { } text ? int.Parse(text, CultureInfo.InvariantCulture) : CasesPerForm;

    private static int Programs => ProgramsPerCase * Cases;

    private Differ Differ => _differ ??= new Differ(_interpreter, _jit);

    public void Dispose()
    {
        _interpreter.Dispose();
        _jit.Dispose();
    }

    [Test]
    public void Single_instructions_do_the_same(CancellationToken token)
    {
        int forms = FormCatalog.For(bitness).Covered.Count;
        Run(forms * Cases, (seed, i) => _singles.Create(FormCatalog.For(bitness).Covered[i % forms], seed), token);
        Assert.That(_vectors, Is.SupersetOf(new[] { -1, 0, 13, 14 }), "instructions that ended, and faulted");
    }

    [Test]
    public void Sequences_do_the_same(CancellationToken token)
    {
        Run(Programs, (seed, _) => _sequences.Create(seed), token);
        Assert.That(_vectors, Does.Contain(-1), "programs that ended");
    }

    [Test]
    public void Sequences_around_page_ends_fault_at_the_same_places(CancellationToken token)
    {
        Run(Programs, (seed, _) => _edges.CreateAtPageEnd(seed), token);
        Assert.That(_vectors, Is.SupersetOf(new[] { -1, 13, 14 }), "programs that ended, and faulted");
    }

    [Test]
    public void Sequences_that_change_themselves_run_what_they_have_written(CancellationToken token)
    {
        Run(Programs, (seed, _) => _edges.CreateSelfModifying(seed), token);
        Assert.That(_vectors, Does.Contain(-1), "programs that ended");
        Assert.That(_changed, Is.GreaterThan(Programs / 3), "programs that changed");
    }

    private void Run(int count, Func<ulong, int, TestCase> create, CancellationToken token)
    {
        ulong seed = Random.Shared.NextUInt64();
        TestContext.Out.WriteLine($"seed of the run 0x{seed:x}");
        for (int i = 0; i < count && _reports.Count < ReportsShown; i++)
        {
            token.ThrowIfCancellationRequested();
            TestCase test = create(Rng.Derive(seed, (ulong)i), i);
            if (Compare(test).Count > 0)
            {
                // Only programs have steps that can be left out.
                test = test.Form is null ? Shrinker.Shrink(test, smaller => Compare(smaller).Count > 0) : test;
                _reports.Add(Differ.Explain(test, Compare(test)));
            }
        }

        Assert.That(_reports, Is.Empty, string.Join('\n', _reports));
    }

    private List<string> Compare(TestCase test)
    {
        List<string> differences = Differ.Run(test);
        _vectors.Add(Differ.LastVector);
        byte[] code = test.Code;
        _changed += code.AsSpan().SequenceEqual(_jit.CodePage.AsSpan((int)(test.State.Rip - Layout.Code), code.Length)) ? 0 : 1;
        if (_interpreter.Retired != _jit.Retired)
        {
            differences.Add($"retired: expected {_interpreter.Retired}, got {_jit.Retired}");
        }

        int same = _interpreter.CodePage.AsSpan().CommonPrefixLength(_jit.CodePage);
        if (same != Layout.PageSize)
        {
            differences.Add($"code at 0x{Layout.Code + (ulong)same:x}: expected {_interpreter.CodePage[same]:x}, got {_jit.CodePage[same]:x}");
        }

        return differences;
    }
}
