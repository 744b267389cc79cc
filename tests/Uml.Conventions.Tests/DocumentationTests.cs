using System.Text;
using System.Text.RegularExpressions;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace Uml.Conventions.Tests;

/// <summary>Every C# block in the documentation is a whole program that compiles.</summary>
[TestFixture]
public sealed partial class DocumentationTests
{
    public static IEnumerable<TestCaseData> Blocks()
    {
        foreach (string path in Repository.Files(".md"))
        {
            foreach ((int line, string code) in ReadBlocks(path))
            {
                yield return new TestCaseData(code).SetArgDisplayNames($"{Repository.Relative(path)}:{line}");
            }
        }
    }

    [TestCaseSource(nameof(Blocks))]
    public void A_block_of_code_compiles(string code)
    {
        CSharpParseOptions options = new(LanguageVersion.Latest);
        CSharpCompilation compilation = CSharpCompilation.Create(
            "Documentation",
            [CSharpSyntaxTree.ParseText(code, options), SourceCompilation.ImplicitUsings(options)],
            SourceCompilation.References(),
            new CSharpCompilationOptions(OutputKind.ConsoleApplication, nullableContextOptions: NullableContextOptions.Enable));
        IEnumerable<string> problems = compilation.GetDiagnostics()
            .Where(diagnostic => diagnostic.Severity >= DiagnosticSeverity.Warning).Select(diagnostic => diagnostic.ToString());
        Assert.That(problems, Is.Empty, code);
    }

    [Test]
    public void The_readme_shows_the_main_job_in_ten_lines()
    {
        (int _, string code) = ReadBlocks(Path.Combine(Repository.Root, "README.md")).First();
        string[] statements = [.. code.Split('\n').Where(line => line.Trim().Length > 0 && !line.StartsWith("using Uml", StringComparison.Ordinal))];
        Assert.That(statements, Has.Length.LessThanOrEqualTo(10));
    }

    [Test]
    public void The_readme_gives_exactly_two_commands()
    {
        string[] commands = [.. File.ReadLines(Path.Combine(Repository.Root, "README.md"))
            .Where(line => line.StartsWith("dotnet ", StringComparison.Ordinal))];
        Assert.That(commands, Has.Length.EqualTo(2));
        Assert.That(commands[0], Does.StartWith("dotnet run").And.Contain("samples/BootLinux"));
        Assert.That(commands[1], Does.StartWith("dotnet test"));
    }

    [Test]
    public void The_readme_begins_with_one_line_that_starts_a_machine()
    {
        (int _, string code) = ReadBlocks(Path.Combine(Repository.Root, "README.md")).First();
        string[] usings = [.. code.Split('\n').Where(line => line.StartsWith("using ", StringComparison.Ordinal))];
        Assert.That(usings, Is.EqualTo(new[] { "using Uml.Hosting;" }));
        Assert.That(code, Does.Contain("= await UmlMachine.StartAsync(\"linux-image-cloud-amd64\");"));
    }

    [Test]
    public void The_readme_leads_to_every_how_to_and_the_index_to_every_page()
    {
        string docs = Path.Combine(Repository.Root, "docs");
        string[] pages = [.. Directory.EnumerateFiles(docs, "*.md").Select(path => Path.GetFileName(path)!).Where(page => page != "README.md")];
        string readme = File.ReadAllText(Path.Combine(Repository.Root, "README.md")), index = File.ReadAllText(Path.Combine(docs, "README.md"));
        Assert.That(pages.Where(page => !index.Contains($"]({page})", StringComparison.Ordinal)), Is.Empty);
        Assert.That(
            pages.Where(page => page.StartsWith("how-to", StringComparison.Ordinal) && !readme.Contains($"](docs/{page})", StringComparison.Ordinal)), Is.Empty);
    }

    [Test]
    public void Links_lead_to_files_that_are_there()
    {
        IEnumerable<string> broken =
            from path in Repository.Files(".md")
            from Match match in RelativeLink().Matches(File.ReadAllText(path))
            let target = Path.Combine(Path.GetDirectoryName(path)!, match.Groups[1].Value)
            where !Path.Exists(target)
            select $"{Repository.Relative(path)}: {match.Groups[1].Value}";
        Assert.That(broken, Is.Empty);
    }

    [GeneratedRegex(@"\]\((?![a-z]+:)([^)#]+)")]
    private static partial Regex RelativeLink();

    private static IEnumerable<(int Line, string Code)> ReadBlocks(string path)
    {
        StringBuilder? code = null;
        int start = 0;
        foreach ((int index, string line) in File.ReadLines(path).Index())
        {
            if (code is null && line.TrimEnd() == "```csharp")
            {
                (code, start) = (new StringBuilder(), index + 1);
            }
            else if (code is not null && line.TrimEnd() == "```")
            {
                yield return (start, code.ToString());
                code = null;
            }
            else
            {
                code?.AppendLine(line);
            }
        }
    }
}
