using System.Text;
using Uml.Storage.FileSystems.Sources;
using Uml.Storage.FileSystems.Trees;

namespace Uml.Storage.Tests.FileSystems.Sources;

internal static class TreeExtensions
{
    public static string? Text(this FileTree tree, string path)
    {
        if (tree.Find(path)?.Content is not { } content)
        {
            return null;
        }

        byte[] bytes = new byte[content.Length];
        content.Read(0, bytes);
        return Encoding.UTF8.GetString(bytes);
    }

    public static FileTree Add(this FileTree tree, IFileTreeSource source)
    {
        source.AddTo(tree);
        return tree;
    }

    public static string[] Names(this FileTree tree, string path) => [.. tree.Find(path)!.Children.Keys.Select(name => name.ToString()).Order(StringComparer.Ordinal)];
}
