namespace Uml.Conventions.Tests;

/// <summary>Folders of a library depend on each other in one direction only, whole trees of folders as well as each by itself.</summary>
[TestFixture]
public sealed class FolderTests
{
    /// <summary>Pairs of folders that still name each other: numbers that fall until there are none.</summary>
    private static readonly Dictionary<string, int> s_open = new() { ["Uml.Core"] = 34, ["Uml.Devices"] = 5, ["Uml.Hosting"] = 1 };

    [TestCaseSource(typeof(Repository), nameof(Repository.Libraries))]
    public void Folders_do_not_lead_back_to_each_other(string library)
    {
        FolderGraph graph = FolderGraph.Of(library);
        foreach (string line in graph.Lines().Concat(graph.MutualPairs()))
        {
            TestContext.Out.WriteLine(line);
        }

        if (s_open.TryGetValue(library, out int pairs))
        {
            Assert.That(graph.MutualPairs().Count(), Is.LessThanOrEqualTo(pairs));
            return;
        }

        Assert.That(graph.Knots().Select(knot => string.Join(", ", knot)), Is.Empty);
    }
}
