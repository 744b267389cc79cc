using Uml.Core;
using Uml.Differential.Tests.Engines;
using Uml.Differential.Tests.Generation;

namespace Uml.Differential.Tests.Running;

/// <summary>
/// The translator against the interpreter, in states the host's processor cannot be put into. Besides everything a program can see, the
/// counts of retired instructions and the code itself are compared.
/// </summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
[Platform("Linux")]
[CancelAfter(300_000)]
internal sealed class EngineTests : IDisposable
{
    private const int Cases = 3000, ReportsShown = 3;

    private readonly EdgeGenerator _cases = new(FormCatalog.For(64));
    private readonly VirtualCpuExecutor _interpreter = new(64, CpuEngine.Interpreter, writableCode: true);
    private readonly VirtualCpuExecutor _jit = new(64, CpuEngine.Jit, writableCode: true);
    private readonly Differ _differ;
    private readonly HashSet<int> _vectors = [];
    private int _changed;

    public EngineTests() => _differ = new Differ(_interpreter, _jit);

    public void Dispose()
    {
        _interpreter.Dispose();
        _jit.Dispose();
    }

    [Test]
    public void Sequences_around_page_ends_fault_at_the_same_places(CancellationToken token)
    {
        Run(_cases.CreateAtPageEnd, token);
        Assert.That(_vectors, Is.SupersetOf(new[] { -1, 13, 14 }), "programs that ended, and faulted");
    }

    [Test]
    public void Sequences_that_change_themselves_run_what_they_have_written(CancellationToken token)
    {
        Run(_cases.CreateSelfModifying, token);
        Assert.That(_vectors, Does.Contain(-1), "programs that ended");
        Assert.That(_changed, Is.GreaterThan(Cases / 3), "programs that changed");
    }

    private void Run(Func<ulong, TestCase> create, CancellationToken token)
    {
        ulong seed = Random.Shared.NextUInt64();
        int count = Environment.GetEnvironmentVariable("UML_DIFF_CASES") is { } text
            ? 300 * int.Parse(text, System.Globalization.CultureInfo.InvariantCulture)
            : Cases;
        TestContext.Out.WriteLine($"seed of the run 0x{seed:x}");
        List<string> reports = [];
        for (int i = 0; i < count && reports.Count < ReportsShown; i++)
        {
            token.ThrowIfCancellationRequested();
            TestCase test = create(Rng.Derive(seed, (ulong)i));
            if (Compare(test).Count > 0)
            {
                test = Shrinker.Shrink(test, smaller => Compare(smaller).Count > 0);
                reports.Add(_differ.Explain(test, Compare(test)));
            }
        }

        Assert.That(reports, Is.Empty, string.Join('\n', reports));
    }

    private List<string> Compare(TestCase test)
    {
        List<string> differences = _differ.Run(test);
        _vectors.Add(_differ.LastVector);
        byte[] code = test.Code;
        _changed += code.AsSpan().SequenceEqual(_jit.CodePage.AsSpan(Layout.ProgramOffset, code.Length)) ? 0 : 1;
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
