using PublicApiGenerator;

namespace Uml.Conventions.Tests;

/// <summary>
/// The public API of each library stands in PublicApi/, so that every change of it is seen in review. To accept a change run
/// these tests with UML_UPDATE_API=1.
/// </summary>
[TestFixture]
public sealed class PublicApiTests
{
    [TestCaseSource(typeof(Repository), nameof(Repository.Libraries))]
    public async Task The_public_API_is_the_one_that_was_agreed(string library)
    {
        string path = Path.Combine(Repository.Root, "tests", "Uml.Conventions.Tests", "PublicApi", library + ".txt");
        string actual = Repository.Load(library).GeneratePublicApi(new ApiGeneratorOptions
        {
            IncludeAssemblyAttributes = false,
            DenyNamespacePrefixes = [],
        }).ReplaceLineEndings("\n") + "\n";
        if (Environment.GetEnvironmentVariable("UML_UPDATE_API") == "1")
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            await File.WriteAllTextAsync(path, actual);
        }

        string agreed = File.Exists(path) ? await File.ReadAllTextAsync(path) : "";
        string[] added = [.. actual.Split('\n').Except(agreed.Split('\n'))], removed = [.. agreed.Split('\n').Except(actual.Split('\n'))];
        Assert.That(
            actual == agreed,
            $"""
            The public API of {library} has changed. If it was meant to, run these tests with UML_UPDATE_API=1 and commit {library}.txt.
            Added:
            {string.Join('\n', added)}
            Removed:
            {string.Join('\n', removed)}
            """);
    }
}
