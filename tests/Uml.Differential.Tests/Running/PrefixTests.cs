using Uml.Core.Cpu;
using Uml.Differential.Tests.Engines;
using Uml.Differential.Tests.Generation;
using Uml.Differential.Tests.Native;

namespace Uml.Differential.Tests.Running;

/// <summary>
/// All forms with redundant, repeated and misplaced prefixes, against the processor, and the translator against the interpreter. Some of
/// the patterns for each form; <c>--prefixes</c> of the soak front end runs all.
/// </summary>
[Platform("Linux")]
[CancelAfter(300_000)]
[TestFixture(64)]
[TestFixture(32)]
internal sealed class PrefixTests(int bitness)
{
    private const int PatternsPerForm = 6;
    private const ulong Seed = 0x11;

    private readonly FormCatalog _catalog = FormCatalog.For(bitness);

    [TestCase(CpuEngine.Interpreter)]
    [TestCase(CpuEngine.Jit)]
    public void Prefixes_are_what_they_are_to_the_processor(CpuEngine engine, CancellationToken token)
    {
        NativeExecutor.Require(bitness);
        using var native = new NativeExecutor(bitness);
        using var subject = new VirtualCpuExecutor(bitness, engine);
        using var run = new DifferentialRun(native, subject, _catalog);
        Sample(run, token);
    }

    [Test]
    public void Prefixes_are_the_same_to_both_engines(CancellationToken token)
    {
        using var canary = new HostCanary();
        using var interpreter = new VirtualCpuExecutor(bitness, CpuEngine.Interpreter, writableCode: true);
        using var jit = new VirtualCpuExecutor(bitness, CpuEngine.Jit, writableCode: true);
        using var run = new DifferentialRun(interpreter, jit, _catalog, canary);
        Sample(run, token);
    }

    private void Sample(DifferentialRun run, CancellationToken token)
    {
        run.SamplePrefixes(_catalog.Covered, PatternsPerForm, Seed, token);
        run.AssertNothingFailed();
        token.ThrowIfCancellationRequested();
        TestContext.Out.WriteLine($"{run.CasesRun} cases, {run.CasesLeftOut} left out");
        using (Assert.EnterMultipleScope())
        {
            Assert.That(run.Vectors, Is.SupersetOf(new[] { MachineSnapshot.Completed, 6, 13, 14 }), "instructions that ended, were invalid, too long, and faulted");
            Assert.That(run.CasesRun, Is.GreaterThan(run.CasesLeftOut));
        }
    }
}
