using Uml.Core.Cpu;
using Uml.Differential.Tests.Engines;
using Uml.Differential.Tests.Native;
using Uml.Differential.Tests.Running;

namespace Uml.Differential.Tests.Vectors;

/// <summary>
/// Both engines against what an Intel processor did where AMD's do otherwise, on whatever host: cases of a run of this program on family 6
/// model 207, with the fields they do not use left out.
/// </summary>
[TestFixture(64)]
[TestFixture(32)]
[Platform("Linux")]
internal sealed class RecordedTests(int bitness)
{
    private const string Intel = "intel-family-6-model-207.txt";

    [TestCase(CpuEngine.Interpreter)]
    [TestCase(CpuEngine.Jit)]
    public void An_engine_does_what_the_Intel_processor_did(CpuEngine engine)
    {
        using var subject = new VirtualCpuExecutor(bitness, engine);
        Compare(subject);
    }

    /// <summary>Where there is one, whether it still does.</summary>
    [Test]
    public void An_Intel_processor_does_what_was_recorded_of_one()
    {
        NativeExecutor.Require(bitness);
        if (HostProcessor.Vendor != ProcessorVendor.Intel || !HostProcessor.HasAvx)
        {
            Assert.Ignore($"The host's processor is {HostProcessor.Description}.");
        }

        using var native = new NativeExecutor(bitness);
        Compare(native);
    }

    private void Compare(IExecutor subject)
    {
        using var processor = new RecordedProcessor(ProcessorVendor.Intel);
        var differ = new Differ(processor, subject);
        var failures = new List<string>();
        foreach (RecordedVector vector in RecordedVector.Read(Intel).Where(vector => vector.Test.Bitness == bitness))
        {
            processor.Current = vector;
            if (differ.Run(vector.Test) is { Count: > 0 } differences)
            {
                failures.Add(differ.Explain(vector.Test, differences));
            }
        }

        TestContext.Out.WriteLine($"{differ.CasesRun} cases");
        Assert.That(failures, Is.Empty, string.Join('\n', failures.Take(8)));
        Assert.That(differ.CasesRun, Is.GreaterThan(30));
    }
}
