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

    [Test]
    public void Masks_of_pages_are_named()
    {
        IEnumerable<string> offenders = Repository.Files(".cs")
            .Select(path => (Path: path, Name: Repository.Relative(path).Replace(Path.DirectorySeparatorChar, '/')))
            .Where(file => file.Name.StartsWith("Uml.Core/Cpu/", StringComparison.Ordinal))
            .SelectMany(file => File.ReadLines(file.Path).Select((line, i) => (file.Name, Line: line, Number: i + 1)))
            .Where(line => PageMask().IsMatch(line.Line))
            .Select(line => $"{line.Name}:{line.Number}: {line.Line.Trim()} (see Memory/Page.cs)");
        Assert.That(offenders, Is.Empty);
    }

    [GeneratedRegex(@"~0xFFFU?L?\b|& 0xFFFU?L?\b|\b0xFFFF_F000\b|-0x1000\b")]
    private static partial Regex PageMask();

    [GeneratedRegex(@"\b(TODO|FIXME|HACK|XXX)\b|NotImplementedException")]
    private static partial Regex Unfinished();
}
