using System.Text.RegularExpressions;

namespace Uml.Conventions.Tests;

/// <summary>Folders of a library depend on each other in one direction only, and namespaces are folders.</summary>
[TestFixture]
public sealed partial class FolderTests
{
    /// <summary>As trees (Cpu is one, with all that lies in it) and at last each by itself.</summary>
    [Test]
    public void Folders_do_not_lead_back_to_each_other(
        [ValueSource(typeof(Repository), nameof(Repository.Libraries))] string library, [Values(1, 2, 3, 9)] int depth)
    {
        FolderGraph graph = FolderGraph.Of(library, depth);
        foreach (string line in graph.Lines().Concat(graph.MutualPairs()))
        {
            TestContext.Out.WriteLine(line);
        }

        Assert.That(graph.Knots().Select(knot => string.Join(", ", knot)), Is.Empty);
    }

    [Test]
    public void A_namespace_is_its_folder()
    {
        IEnumerable<string> offenders =
            from path in Repository.Files(".cs")
            let declared = Namespace().Match(File.ReadAllText(path))
            where declared.Success
            let folder = Path.GetDirectoryName(Group().Replace(Repository.Relative(path), ""))!.Replace(Path.DirectorySeparatorChar, '.')
            where declared.Groups[1].Value != folder
            select $"{Repository.Relative(path)}: {declared.Groups[1].Value}, not {folder}";
        Assert.That(offenders, Is.Empty);
    }

    [GeneratedRegex(@"^namespace ([\w.]+);", RegexOptions.Multiline)]
    private static partial Regex Namespace();

    /// <summary>Folders that only hold projects.</summary>
    [GeneratedRegex("^(samples|benchmarks|tests)/")]
    private static partial Regex Group();
}
