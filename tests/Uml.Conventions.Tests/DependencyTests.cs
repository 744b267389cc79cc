using System.Reflection;
using System.Xml.Linq;

namespace Uml.Conventions.Tests;

/// <summary>Nothing points back up: see docs/architecture.md.</summary>
[TestFixture]
public sealed class DependencyTests
{
    private static readonly Dictionary<string, string[]> Allowed = new()
    {
        ["Uml.Core"] = [],
        ["Uml.Net"] = [],
        ["Uml.Storage"] = [],
        ["Uml.Devices"] = ["Uml.Core", "Uml.Net", "Uml.Storage"],
        ["Uml.Hosting"] = ["Uml.Core", "Uml.Devices", "Uml.Net", "Uml.Storage"],
    };

    [TestCaseSource(typeof(Repository), nameof(Repository.Libraries))]
    public void An_assembly_references_only_what_lies_below_it(string library)
    {
        IEnumerable<string> references = Repository.Load(library).GetReferencedAssemblies()
            .Select(name => name.Name!).Where(name => name.StartsWith("Uml.", StringComparison.Ordinal));
        Assert.That(references, Is.SubsetOf(Allowed[library]));
    }

    [TestCaseSource(typeof(Repository), nameof(Repository.Libraries))]
    public void A_project_references_only_what_lies_below_it(string library)
    {
        IEnumerable<string> references = Load(library).Descendants("ProjectReference")
            .Select(reference => Path.GetFileNameWithoutExtension(reference.Attribute("Include")!.Value));
        Assert.That(references, Is.SubsetOf(Allowed[library]));
    }

    [TestCaseSource(typeof(Repository), nameof(Repository.Libraries))]
    public void A_library_shows_its_internals_to_tests_and_benchmarks_only(string library)
    {
        IEnumerable<string> friends = Load(library).Descendants("InternalsVisibleTo").Select(friend => friend.Attribute("Include")!.Value);
        Assert.That(friends, Has.All.EndsWith(".Tests").Or.EqualTo("Uml.Benchmarks").Or.EqualTo("Uml.Fuzz"));
    }

    [Test]
    public void Package_versions_are_named_in_one_place()
    {
        IEnumerable<string> offenders = Repository.Files(".csproj")
            .Where(path => XDocument.Load(path).Descendants("PackageReference").Any(reference => reference.Attribute("Version") is not null))
            .Select(Repository.Relative);
        Assert.That(offenders, Is.Empty);
    }

    [Test]
    public void Every_project_is_in_the_solution()
    {
        IEnumerable<string> listed = XDocument.Load(Path.Combine(Repository.Root, "Uml.slnx")).Descendants("Project")
            .Select(project => project.Attribute("Path")!.Value.Replace('/', Path.DirectorySeparatorChar));
        Assert.That(Repository.Files(".csproj").Select(Repository.Relative), Is.EquivalentTo(listed));
    }

    [TestCaseSource(typeof(Repository), nameof(Repository.Libraries))]
    public void An_assembly_is_built_for_trimming_and_ahead_of_time_compilation(string library)
    {
        string[] metadata = [.. Repository.Load(library).GetCustomAttributes<AssemblyMetadataAttribute>()
            .Where(attribute => attribute.Value == "True").Select(attribute => attribute.Key)];
        Assert.That(metadata, Does.Contain("IsTrimmable").And.Contain("IsAotCompatible"));
    }

    private static XDocument Load(string library) => XDocument.Load(Path.Combine(Repository.Root, library, library + ".csproj"));
}
