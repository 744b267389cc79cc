using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Uml.Conventions.Tests;

/// <summary>
/// Which folder of a library names which other: an arrow where a file of the one uses a type that a file of the other declares. Read from the
/// sources by the compiler, so that every use counts: a call, a field, a base type, a constant.
/// </summary>
internal sealed class FolderGraph
{
    private readonly SortedDictionary<(string From, string To), SortedSet<string>> _arrows = [];

    private FolderGraph(string library, int depth)
    {
        string root = Path.Combine(Repository.Root, library);
        CSharpParseOptions options = new(LanguageVersion.Latest, DocumentationMode.None);
        List<SyntaxTree> trees = [.. Repository.Files(".cs")
            .Where(path => path.StartsWith(root + Path.DirectorySeparatorChar, StringComparison.Ordinal))
            .Select(path => CSharpSyntaxTree.ParseText(File.ReadAllText(path), options, path))];
        CSharpCompilation compilation = CSharpCompilation.Create(
            library,
            [.. trees, SourceCompilation.ImplicitUsings(options)],
            SourceCompilation.References().Where(reference => Path.GetFileName(reference.Display) != library + ".dll"),
            new CSharpCompilationOptions(OutputKind.DynamicallyLinkedLibrary, allowUnsafe: true));
        foreach (SyntaxTree tree in trees)
        {
            Read(compilation.GetSemanticModel(tree), tree, path => FolderOf(root, path, depth));
        }

        Folders = [.. trees.Select(tree => FolderOf(root, tree.FilePath, depth)).Distinct().Order(StringComparer.Ordinal)];
    }

    /// <summary>The folders that hold sources.</summary>
    public IReadOnlyList<string> Folders { get; }

    /// <summary>Reads a library.</summary>
    /// <param name="library">Its folder in the repository.</param>
    /// <param name="depth">How many folders deep two files can be told apart.</param>
    public static FolderGraph Of(string library, int depth = int.MaxValue) => new(library, depth);

    /// <summary>The folders that each folder names, with a use.</summary>
    public IEnumerable<(string From, string To, string Use)> Arrows => _arrows.Select(arrow => (arrow.Key.From, arrow.Key.To, arrow.Value.Min!));

    /// <summary>Pairs of folders that name each other, with a use for each direction.</summary>
    public IEnumerable<string> MutualPairs() => _arrows.Keys
        .Where(arrow => string.CompareOrdinal(arrow.From, arrow.To) < 0 && _arrows.ContainsKey((arrow.To, arrow.From)))
        .Select(arrow => $"{arrow.From} <-> {arrow.To}: {Uses(arrow.From, arrow.To)} / {Uses(arrow.To, arrow.From)}");

    /// <summary>Sets of folders each of which leads to each other one of its set, largest first.</summary>
    public IEnumerable<IReadOnlyList<string>> Knots()
    {
        Dictionary<string, HashSet<string>> reachable = Folders.ToDictionary(folder => folder, Reachable);
        return Folders
            .Where(folder => reachable[folder].Contains(folder))
            .Select(folder => (IReadOnlyList<string>)[.. reachable[folder].Where(other => reachable[other].Contains(folder)).Order(StringComparer.Ordinal)])
            .DistinctBy(knot => knot[0])
            .OrderByDescending(knot => knot.Count);
    }

    /// <summary>What a folder names, one line a folder.</summary>
    public IEnumerable<string> Lines() => Folders
        .Select(folder => $"{folder} -> {string.Join(", ", _arrows.Keys.Where(arrow => arrow.From == folder).Select(arrow => arrow.To))}");

    private static string FolderOf(string root, string path, int depth) =>
        string.Join('/', Path.GetRelativePath(root, Path.GetDirectoryName(path)!).Split(Path.DirectorySeparatorChar).Take(depth));

    private string Uses(string from, string to)
    {
        SortedSet<string> uses = _arrows[(from, to)];
        return $"{uses.Count} ({string.Join(", ", uses.Take(4))})";
    }

    private HashSet<string> Reachable(string folder)
    {
        HashSet<string> found = [];
        Queue<string> open = new([folder]);
        while (open.TryDequeue(out string? next))
        {
            foreach ((string from, string to) in _arrows.Keys)
            {
                if (from == next && found.Add(to))
                {
                    open.Enqueue(to);
                }
            }
        }

        return found;
    }

    private void Read(SemanticModel model, SyntaxTree tree, Func<string, string> folderOf)
    {
        string from = folderOf(tree.FilePath);
        foreach (SyntaxNode node in tree.GetRoot().DescendantNodes().Where(node => node is SimpleNameSyntax or BaseObjectCreationExpressionSyntax))
        {
            ISymbol? symbol = model.GetSymbolInfo(node).Symbol;
            symbol = (symbol as IMethodSymbol)?.ReducedFrom ?? symbol;
            // A type whose parts are in several files is where the member is that is used; its name alone says nothing.
            if (symbol is null or INamespaceSymbol || symbol.DeclaringSyntaxReferences is not [SyntaxReference declaration])
            {
                continue;
            }

            string to = folderOf(declaration.SyntaxTree.FilePath);
            if (to != from)
            {
                string use = Path.GetFileNameWithoutExtension(tree.FilePath) + " uses " + (symbol.ContainingType is { } type ? type.Name + "." : "") + symbol.Name;
                (_arrows.TryGetValue((from, to), out SortedSet<string>? uses) ? uses : _arrows[(from, to)] = new(StringComparer.Ordinal)).Add(use);
            }
        }
    }
}
