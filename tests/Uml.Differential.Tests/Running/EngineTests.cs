using Uml.Core.Cpu;
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
internal sealed class EngineTests : IDisposable
{
    private const int ProgramsPerCase = 200;

    private readonly VirtualCpuExecutor _interpreter, _jit;
    private readonly FormCatalog _catalog;
    private readonly DifferentialRun _run;

    public EngineTests(int bitness)
    {
        _catalog = FormCatalog.For(bitness);
        _interpreter = new VirtualCpuExecutor(bitness, CpuEngine.Interpreter, writableCode: true);
        _jit = new VirtualCpuExecutor(bitness, CpuEngine.Jit, writableCode: true);
        _run = new DifferentialRun(_interpreter, _jit, _catalog);
    }

    private static int Programs => ProgramsPerCase * DifferentialRun.CasesPerForm;

    public void Dispose()
    {
        _run.Dispose();
        _interpreter.Dispose();
        _jit.Dispose();
    }

    [Test]
    public void Single_instructions_do_the_same(CancellationToken token)
    {
        _run.RunForms(_catalog.Covered, DifferentialRun.CasesPerForm, NewSeed(), token);
        Report(token);
        Assert.That(_run.Vectors, Is.SupersetOf(new[] { -1, 0, 13, 14 }), "instructions that ended, and faulted");
    }

    [Test]
    public void Sequences_do_the_same(CancellationToken token)
    {
        _run.RunPrograms([ProgramKind.Sequence], Programs, NewSeed(), token);
        Report(token);
        Assert.That(_run.Vectors, Does.Contain(-1), "programs that ended");
    }

    [Test]
    public void Sequences_around_page_ends_fault_at_the_same_places(CancellationToken token)
    {
        _run.RunPrograms([ProgramKind.PageEnd], Programs, NewSeed(), token);
        Report(token);
        Assert.That(_run.Vectors, Is.SupersetOf(new[] { -1, 13, 14 }), "programs that ended, and faulted");
    }

    [Test]
    public void Sequences_that_change_themselves_run_what_they_have_written(CancellationToken token)
    {
        _run.RunPrograms([ProgramKind.SelfModifying], Programs, NewSeed(), token);
        Report(token);
        Assert.That(_run.Vectors, Does.Contain(-1), "programs that ended");
        Assert.That(_jit.ProgramsChanged, Is.GreaterThan(Programs / 3), "programs that changed");
    }

    private static ulong NewSeed()
    {
        ulong seed = Random.Shared.NextUInt64();
        TestContext.Out.WriteLine($"seed of the run 0x{seed:x}");
        return seed;
    }

    private void Report(CancellationToken token)
    {
        _run.AssertNothingFailed();
        token.ThrowIfCancellationRequested();
    }
}
