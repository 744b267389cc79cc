using Uml.Storage.FileSystems.Trees;
using Uml.Storage.Images;

namespace Uml.Storage.FileSystems.Sources;

/// <summary>Something that files of a tree come from, or that changes them.</summary>
public interface IFileTreeSource
{
    /// <summary>Lays its files over those of a tree: files are replaced, and directories are merged.</summary>
    /// <param name="tree">The tree. It keeps what contents are read from open until it is disposed.</param>
    /// <param name="cancellationToken">Ends the work; the tree has some of the files then.</param>
    /// <exception cref="ImageContentException">The source is damaged, hostile, or does not go with what is in the tree.</exception>
    /// <exception cref="IOException">It could not be read.</exception>
    void AddTo(FileTree tree, CancellationToken cancellationToken = default);
}
