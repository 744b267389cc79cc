using Uml.Differential.Tests.Generation;

namespace Uml.Differential.Tests.Running;

/// <summary>Takes steps out of a failing program as long as it still fails.</summary>
internal static class Shrinker
{
    /// <param name="test">A program that fails.</param>
    /// <param name="fails">Runs a program.</param>
    public static TestCase Shrink(TestCase test, Func<TestCase, bool> fails)
    {
        bool shrunk = true;
        while (shrunk && test.Steps.Count > 1)
        {
            shrunk = false;
            for (int i = test.Steps.Count - 1; i >= 0 && test.Steps.Count > 1; i--)
            {
                if (i >= test.Steps.Count)
                {
                    continue;
                }

                TestCase smaller = test.With(Step.Without(test.Steps, i));
                if (smaller.Code.Length > 0 && fails(smaller))
                {
                    test = smaller;
                    shrunk = true;
                }
            }
        }

        return test;
    }
}
