using Uml.Storage.Blocks;
using Uml.Storage.FileSystems.Ext4;
using Uml.Storage.FileSystems.Sources;
using Uml.Storage.FileSystems.Trees;
using Uml.Storage.Images;

namespace Uml.Storage.FileSystems;

/// <summary>
/// Makes disk images of files: an ext4 file system on the whole disk, as guests mount with <c>root=/dev/vda</c>. Needs no privileges; the same sources
/// make the same bytes. Later sources lie over earlier ones.
/// </summary>
public sealed class DiskImageBuilder
{
    private readonly List<IFileTreeSource> _sources = [];

    /// <summary>What the file system has besides its files.</summary>
    public Ext4Options FileSystem { get; init; } = new();

    /// <summary>Adds a source, or a step that changes what the sources before it gave.</summary>
    /// <param name="source">The source.</param>
    /// <returns>This builder.</returns>
    public DiskImageBuilder Add(IFileTreeSource source)
    {
        ArgumentNullException.ThrowIfNull(source);
        _sources.Add(source);
        return this;
    }

    /// <summary>Adds a directory of the host; see <see cref="DirectorySource"/>.</summary>
    /// <param name="path">The directory.</param>
    /// <param name="options">How it is read.</param>
    /// <returns>This builder.</returns>
    public DiskImageBuilder AddDirectory(string path, DirectorySourceOptions? options = null) => Add(new DirectorySource(path, options));

    /// <summary>Adds a tar archive; see <see cref="TarSource"/>.</summary>
    /// <param name="path">The archive.</param>
    /// <param name="options">How it is read.</param>
    /// <returns>This builder.</returns>
    public DiskImageBuilder AddTar(string path, TarSourceOptions? options = null) => Add(new TarSource(path, options));

    /// <summary>Adds an image of containers; see <see cref="OciImageSource"/>.</summary>
    /// <param name="path">The directory of an OCI image layout, or a tar archive of one or of <c>docker save</c>.</param>
    /// <param name="options">Which image of it.</param>
    /// <returns>This builder.</returns>
    public DiskImageBuilder AddOciImage(string path, OciImageOptions? options = null) => Add(new OciImageSource(path, options));

    /// <summary>Sets a root file system up for one machine; see <see cref="RootFileSystemCustomization"/>.</summary>
    /// <param name="options">What is set up.</param>
    /// <returns>This builder.</returns>
    /// <exception cref="ArgumentException">An option is not valid.</exception>
    public DiskImageBuilder Customize(RootFileSystemOptions? options = null) => Add(new RootFileSystemCustomization(options));

    /// <summary>Says how large the image is going to be.</summary>
    /// <param name="cancellationToken">Ends the work.</param>
    /// <returns>Bytes.</returns>
    /// <exception cref="ImageContentException">A source is damaged, or has what ext4 cannot hold.</exception>
    /// <exception cref="IOException">A source could not be read, or the files do not fit.</exception>
    public long Measure(CancellationToken cancellationToken = default)
    {
        using FileTree tree = Collect(cancellationToken);
        return Ext4Writer.Measure(tree, FileSystem, cancellationToken);
    }

    /// <summary>Makes a raw image, a sparse file.</summary>
    /// <param name="path">The image, which must not be there yet. It is not there either when this fails.</param>
    /// <param name="progress">Notified of how much of the contents is written.</param>
    /// <param name="cancellationToken">Ends the work.</param>
    /// <exception cref="ArgumentException">An option is not valid.</exception>
    /// <exception cref="ImageContentException">A source is damaged, or has what ext4 cannot hold.</exception>
    /// <exception cref="DiskImageException">The files do not fit, or the image cannot be made.</exception>
    /// <exception cref="IOException">A source could not be read, or the image not be written.</exception>
    public async Task BuildAsync(string path, IProgress<Ext4Progress>? progress = null, CancellationToken cancellationToken = default)
    {
        using FileTree tree = Collect(cancellationToken);
        await Ext4Writer.CreateAsync(tree, path, FileSystem, progress, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Writes to a device of any format, whose former contents are lost.</summary>
    /// <param name="device">The device; <see cref="Measure"/> says how large it has to be.</param>
    /// <param name="progress">Notified of how much of the contents is written.</param>
    /// <param name="cancellationToken">Ends the work.</param>
    /// <exception cref="ArgumentException">An option is not valid.</exception>
    /// <exception cref="ImageContentException">A source is damaged, or has what ext4 cannot hold.</exception>
    /// <exception cref="DiskImageException">The files do not fit.</exception>
    /// <exception cref="IOException">A source could not be read, or the device not be written.</exception>
    public async Task BuildAsync(IBlockDevice device, IProgress<Ext4Progress>? progress = null, CancellationToken cancellationToken = default)
    {
        using FileTree tree = Collect(cancellationToken);
        await Ext4Writer.WriteAsync(tree, device, FileSystem, progress, cancellationToken).ConfigureAwait(false);
    }

    private FileTree Collect(CancellationToken cancellationToken)
    {
        FileTree tree = new();
        try
        {
            foreach (IFileTreeSource source in _sources)
            {
                source.AddTo(tree, cancellationToken);
            }

            return tree;
        }
        catch
        {
            tree.Dispose();
            throw;
        }
    }
}
