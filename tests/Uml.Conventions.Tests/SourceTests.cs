using System.Text.RegularExpressions;

namespace Uml.Conventions.Tests;

[TestFixture]
public sealed partial class SourceTests
{
    private const int MaximumLines = 500;

    [Test]
    public void No_source_file_is_longer_than_500_lines()
    {
        IEnumerable<string> offenders = Repository.Files(".cs")
            .Select(path => (Path: Repository.Relative(path), Lines: File.ReadLines(path).Count()))
            .Where(file => file.Lines > MaximumLines)
            .Select(file => $"{file.Path} has {file.Lines} lines");
        Assert.That(offenders, Is.Empty);
    }

    [Test]
    public void Nothing_is_left_to_be_done_later()
    {
        IEnumerable<string> offenders = Repository.Files(".cs")
            .Where(path => Array.IndexOf(Repository.Libraries, Repository.Relative(path).Split(Path.DirectorySeparatorChar)[0]) >= 0)
            .SelectMany(path => File.ReadLines(path).Select((line, i) => (Path: Repository.Relative(path), Line: line, Number: i + 1)))
            .Where(line => Unfinished().IsMatch(line.Line))
            .Select(line => $"{line.Path}:{line.Number}: {line.Line.Trim()}");
        Assert.That(offenders, Is.Empty);
    }

    [GeneratedRegex(@"\b(TODO|FIXME|HACK|XXX)\b|NotImplementedException")]
    private static partial Regex Unfinished();
}
