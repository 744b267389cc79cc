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

    /// <summary>A row may have several folders, of which a later one names earlier ones. Folders in folders belong to the row of the longest name.</summary>
    [TestCase("docs/architecture.md", "| folder of Uml.Core |", "")]
    [TestCase("docs/engine.md", "| folder of Cpu |", "Cpu")]
    public void A_folder_names_those_above_it_in_the_documentation(string page, string heading, string parent)
    {
        string[] order = [.. File.ReadLines(Path.Combine(Repository.Root, page))
            .SkipWhile(line => !line.StartsWith(heading, StringComparison.Ordinal)).Skip(2)
            .TakeWhile(line => line.StartsWith('|'))
            .SelectMany(line => line.Split('|')[1].Split(','))
            .Select(cell => cell.Trim() is var name && name.StartsWith('(') ? parent : $"{parent}/{name}".TrimStart('/'))];
        IEnumerable<string> offenders = FolderGraph.Of("Uml.Core").Arrows
            .Select(arrow => (From: Place(arrow.From), To: Place(arrow.To), Line: $"{arrow.From} -> {arrow.To}: {arrow.Use}"))
            .Where(arrow => arrow.From >= 0 && arrow.To > arrow.From)
            .Select(arrow => arrow.Line);
        Assert.That(order, Has.Length.GreaterThan(10));
        Assert.That(offenders, Is.Empty);

        int Place(string folder)
        {
            string? row = order
                .Where(name => folder == name || name.Length == 0 || folder.StartsWith(name + "/", StringComparison.Ordinal))
                .MaxBy(name => name.Length);
            return Array.IndexOf(order, row);
        }
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
