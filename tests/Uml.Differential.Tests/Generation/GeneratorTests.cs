using Iced.Intel;
using Uml.Differential.Tests.Native;
using Uml.Differential.Tests.Running;

namespace Uml.Differential.Tests.Generation;

[TestFixture]
internal sealed class GeneratorTests
{
    [TestCase(64)]
    [TestCase(32)]
    public void Every_covered_form_gets_cases_that_decode_to_it(int bitness)
    {
        FormCatalog catalog = FormCatalog.For(bitness);
        var generator = new CaseGenerator(bitness);
        var failures = new List<string>();
        foreach (OpCodeInfo form in catalog.Covered)
        {
            for (ulong seed = 1; seed <= 3; seed++)
            {
                try
                {
                    TestCase test = generator.Create(form, seed);
                    Assert.That(Disassembly.Decode(bitness, test.Code)[0].Code, Is.EqualTo(form.Code));
                }
                catch (InvalidOperationException e)
                {
                    failures.Add(e.Message);
                    break;
                }
            }
        }

        TestContext.Out.WriteLine($"{catalog.Covered.Count} forms covered, {catalog.Excluded.Count} excluded");
        Assert.That(failures, Is.Empty);
    }

    /// <summary>What the interpreter has and the catalogue calls foreign would never be compared.</summary>
    [TestCase(64)]
    [TestCase(32)]
    public void Every_form_the_interpreter_has_is_covered_or_left_out_for_a_reason(int bitness)
    {
        FormCatalog catalog = FormCatalog.For(bitness);
        IEnumerable<Code> foreign = catalog.Excluded
            .Where(pair => pair.Value.StartsWith(FormCatalog.NotInModel, StringComparison.Ordinal))
            .Select(pair => pair.Key);
        Assert.That(foreign.Where(code => FormStatus.IsImplemented(code.ToOpCode(), bitness)), Is.Empty);
    }

    [TestCase(64)]
    [TestCase(32)]
    public void Every_covered_form_is_implemented(int bitness)
    {
        IEnumerable<Code> missing = FormCatalog.For(bitness).Covered.Where(form => !FormStatus.IsImplemented(form, bitness)).Select(form => form.Code);
        Assert.That(missing, Is.Empty);
    }

    [Test]
    public void A_seed_always_gives_the_same_case()
    {
        OpCodeInfo form = Code.Add_rm32_r32.ToOpCode();
        TestCase first = new CaseGenerator(64).Create(form, 42), second = new CaseGenerator(64).Create(form, 42);
        Assert.Multiple(() =>
        {
            Assert.That(second.Code, Is.EqualTo(first.Code));
            Assert.That(second.Memory, Is.EqualTo(first.Memory));
            Assert.That(second.State.Gprs.SequenceEqual(first.State.Gprs), Is.True);
            Assert.That(second.State.FxImage.SequenceEqual(first.State.FxImage), Is.True);
        });
    }

    [Test]
    [Platform("Linux")]
    public void The_processor_agrees_with_itself()
    {
        NativeExecutor.Require(64);
        using var native = new NativeExecutor();
        var differ = new Differ(native, native);
        var generator = new CaseGenerator(64);
        var failures = new List<string>();
        foreach (OpCodeInfo form in FormCatalog.Mode64.Covered)
        {
            for (ulong i = 0; i < 8; i++)
            {
                TestCase test = generator.Create(form, Rng.Derive(1, i));
                List<string> differences = differ.Run(test);
                if (differences.Count > 0)
                {
                    failures.Add(differ.Explain(test, differences));
                }
            }
        }

        Assert.That(failures, Is.Empty);
    }
}
