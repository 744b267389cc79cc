using System.Reflection;

namespace Uml.Conventions.Tests;

/// <summary>The repository that these tests were built from.</summary>
internal static class Repository
{
    /// <summary>The five libraries.</summary>
    public static readonly string[] Libraries = ["Uml.Core", "Uml.Devices", "Uml.Hosting", "Uml.Net", "Uml.Storage"];

    public static string Root { get; } = FindRoot();

    public static Assembly Load(string library) => Assembly.Load(library);

    /// <summary>Files of the repository by extension, without what builds make.</summary>
    public static IEnumerable<string> Files(string extension) => Directory
        .EnumerateFiles(Root, "*" + extension, SearchOption.AllDirectories)
        .Where(path => !Path.GetRelativePath(Root, path).Split(Path.DirectorySeparatorChar)
            .Any(part => part is "bin" or "obj" or "artifacts" or "TestResults" || part.StartsWith('.')));

    public static string Relative(string path) => Path.GetRelativePath(Root, path);

    private static string FindRoot()
    {
        string? directory = AppContext.BaseDirectory;
        while (directory is not null && !File.Exists(Path.Combine(directory, "Uml.slnx")))
        {
            directory = Path.GetDirectoryName(directory);
        }

        return directory ?? throw new InvalidOperationException("These tests run inside the repository only: there is no Uml.slnx above them.");
    }
}
