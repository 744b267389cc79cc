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
    public void The_public_API_is_the_one_that_was_agreed(string library)
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
            File.WriteAllText(path, actual);
        }

        string agreed = File.Exists(path) ? File.ReadAllText(path) : "";
        Assert.That(
            actual.Split('\n'),
            Is.EqualTo(agreed.Split('\n')),
            $"The public API of {library} has changed. If it was meant to, run these tests with UML_UPDATE_API=1 and commit {library}.txt.");
    }
}
