using Uml.Core.Cpu;
using Uml.Differential.Tests.Engines;
using Uml.Differential.Tests.Generation;
using Uml.Differential.Tests.Native;

namespace Uml.Differential.Tests.Running;

/// <summary>
/// Each engine against the host's processor, some thousands of new cases in every run. A failure prints the command that replays
/// it; <c>UML_DIFF_CASES</c> sets the cases per form.
/// </summary>
[TestFixture(64, CpuEngine.Interpreter)]
[TestFixture(32, CpuEngine.Interpreter)]
[TestFixture(64, CpuEngine.Jit)]
[TestFixture(32, CpuEngine.Jit)]
[Platform("Linux")]
internal sealed class DifferentialTests(int bitness, CpuEngine engine)
{
    private const int SequencesPerCase = 200;

    private NativeExecutor _native = null!;
    private VirtualCpuExecutor _subject = null!;
    private DifferentialRun _run = null!;
    private FormCatalog _catalog = null!;

    [SetUp]
    public void SetUp()
    {
        NativeExecutor.Require(bitness);
        _catalog = FormCatalog.For(bitness);
        _native = new NativeExecutor(bitness);
        _subject = new VirtualCpuExecutor(bitness, engine);
        _run = new DifferentialRun(_native, _subject, _catalog);
    }

    [TearDown]
    public void TearDown()
    {
        _run?.Dispose();
        _subject?.Dispose();
        _native?.Dispose();
    }

    [Test]
    public void Single_instructions_leave_the_state_the_processor_leaves()
    {
        ulong seed = Random.Shared.NextUInt64();
        TestContext.Out.WriteLine($"{engine}, {bitness}-bit, seed of the run 0x{seed:x}");
        _run.RunForms(_catalog.Covered, DifferentialRun.CasesPerForm, seed);
        Report();
    }

    [Test]
    public void Sequences_leave_the_state_the_processor_leaves()
    {
        ulong seed = Random.Shared.NextUInt64();
        TestContext.Out.WriteLine($"{engine}, {bitness}-bit, seed of the run 0x{seed:x}");
        _run.RunPrograms([ProgramKind.Sequence], DifferentialRun.CasesPerForm * SequencesPerCase, seed);
        Report();
    }

    [Test]
    public void What_once_differed_does_not_any_more()
    {
        foreach (Regression regression in Regressions.All.Where(regression => regression.Bitness == bitness))
        {
            _run.Replay(regression.Seed, regression.Form?.ToString());
        }

        Report();
    }

    private void Report()
    {
        TestContext.Out.WriteLine($"{_run.CasesRun} cases");
        _run.AssertNothingFailed();
    }
}
