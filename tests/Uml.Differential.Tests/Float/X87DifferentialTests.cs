namespace Uml.Differential.Tests.Float;

/// <summary>The model's x87 against the CPU the test runs on: the whole FNSAVE image but the pointers, memory operand, AX and EFLAGS.</summary>
[NonParallelizable]
public sealed class X87DifferentialTests
{
    [SetUp]
    public void RequireHardware() => X87Comparison.RequireHardware();

    [TestCaseSource(typeof(X87Forms), nameof(X87Forms.All))]
    public void Model_equals_the_processor(object parameter)
    {
        int failures = CountDifferences((X87Form)parameter, report: true);
        Assert.That(failures, Is.Zero, "cases where the model and the processor differ; see the output");
    }

    [Test]
    public void A_wrong_model_is_noticed()
    {
        X87Form[] forms = [.. X87Forms.All()];
        X87Form wrong = forms.First(f => f.Name == "fadd st0,st1") with { Model = forms.First(f => f.Name == "fsub st0,st1").Model };
        Assert.That(CountDifferences(wrong, report: false), Is.Not.Zero);
    }

    private static int CountDifferences(X87Form form, bool report)
    {
        Random random = DifferentialSettings.CreateRandom(form.Name);
        using var thunk = new X87Thunk(form.Emit);
        int failures = 0;
        for (int i = 0; i < DifferentialSettings.Count && failures < 6; i++)
        {
            X87Frame input = X87Inputs.Create(form.Memory, random);
            X87Frame native = input;
            thunk.Run(ref native);
            X87Frame model = X87Comparison.RunModel(form, input);
            if (!X87Comparison.Same(native, model))
            {
                failures++;
                if (report)
                {
                    TestContext.Out.WriteLine(
                        $"case {i}\n input {X87Comparison.Show(input.Before, input)}\n cpu   {X87Comparison.Show(native.After, native)}\n model {X87Comparison.Show(model.After, model)}");
                }
            }
        }

        return failures;
    }
}
