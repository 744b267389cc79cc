using Uml.Storage.Blocks;
using Uml.Storage.FileSystems.Trees;
using Uml.Storage.Formats.Raw;
using Uml.Storage.Images;

namespace Uml.Storage.FileSystems.Ext4;

/// <summary>
/// Writes an ext4 file system with the files of a tree (Linux, Documentation/filesystems/ext4), as the whole contents of a block device, without
/// privileges. Contents are streamed, holes stay holes, and the same tree and options make the same bytes.
/// </summary>
public static class Ext4Writer
{
    /// <summary>Says how large the image of a tree is going to be.</summary>
    /// <param name="tree">The files.</param>
    /// <param name="options">As for writing; defaults when null.</param>
    /// <param name="cancellationToken">Ends the work.</param>
    /// <returns>Bytes, a multiple of 4096.</returns>
    /// <exception cref="ArgumentException">An option is not valid.</exception>
    /// <exception cref="ImageContentException">There is something in the tree that ext4 cannot hold.</exception>
    /// <exception cref="DiskImageException">The files do not fit into the length that the options give; the message says what they need.</exception>
    public static long Measure(FileTree tree, Ext4Options? options = null, CancellationToken cancellationToken = default) =>
        Plan(tree, options, null, cancellationToken).Length;

    /// <summary>Makes a raw image, a sparse file.</summary>
    /// <param name="tree">The files.</param>
    /// <param name="path">The image, which must not be there yet. It is not there either when this fails.</param>
    /// <param name="options">What the file system has besides its files; defaults when null.</param>
    /// <param name="progress">Notified of how much of the contents is written.</param>
    /// <param name="cancellationToken">Ends the work.</param>
    /// <exception cref="ArgumentException">An option is not valid.</exception>
    /// <exception cref="ImageContentException">There is something in the tree that ext4 cannot hold, or a file changed meanwhile.</exception>
    /// <exception cref="DiskImageException">The files do not fit, or the file cannot be made; the message has the numbers.</exception>
    /// <exception cref="IOException">A file could not be read, or the image not be written.</exception>
    public static async Task CreateAsync(
        FileTree tree, string path, Ext4Options? options = null, IProgress<Ext4Progress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        Ext4Plan plan = Plan(tree, options, null, cancellationToken);
        RawBlockDevice.Create(path, plan.Length - (plan.Length % BlockLimits.SectorSize));
        try
        {
            RawBlockDevice device = RawBlockDevice.Open(path);
            await using (device.ConfigureAwait(false))
            {
                await WriteAsync(plan, new Ext4Output(device, isZeroed: true), progress, cancellationToken).ConfigureAwait(false);
            }
        }
        catch
        {
            File.Delete(path);
            throw;
        }
    }

    /// <summary>Writes to a device, whose former contents are lost.</summary>
    /// <param name="tree">The files.</param>
    /// <param name="device">Of at least the length in the options; all of it is used when they have none.</param>
    /// <param name="options">What the file system has besides its files; defaults when null.</param>
    /// <param name="progress">Notified of how much of the contents is written.</param>
    /// <param name="cancellationToken">Ends the work; there is no file system on the device then.</param>
    /// <exception cref="ArgumentException">An option is not valid.</exception>
    /// <exception cref="ImageContentException">There is something in the tree that ext4 cannot hold, or a file changed meanwhile.</exception>
    /// <exception cref="DiskImageException">The files do not fit, or the device is shorter than the options say; the message has the numbers.</exception>
    /// <exception cref="IOException">A file could not be read, or the device not be written.</exception>
    public static async Task WriteAsync(
        FileTree tree, IBlockDevice device, Ext4Options? options = null, IProgress<Ext4Progress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(device);
        if (device.Limits.LogicalBlockSize > Ext4Format.BlockBytes)
        {
            throw new DiskImageException($"The device has blocks of {device.Limits.LogicalBlockSize} bytes; the file system's have {Ext4Format.BlockBytes}.");
        }

        if (options?.Length > device.Length)
        {
            throw new DiskImageException($"The file system is to have {options.Length} bytes; the device has {device.Length}. Make it larger.");
        }

        Ext4Plan plan = Plan(tree, options, device.Length, cancellationToken);
        await WriteAsync(plan, new Ext4Output(device, isZeroed: false), progress, cancellationToken).ConfigureAwait(false);
    }

    private static Ext4Plan Plan(FileTree tree, Ext4Options? options, long? room, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(tree);
        options ??= new Ext4Options();
        options.Validate();
        return Ext4Plan.Create(tree, options, options.Length ?? room, cancellationToken);
    }

    private static async Task WriteAsync(Ext4Plan plan, Ext4Output output, IProgress<Ext4Progress>? progress, CancellationToken cancellationToken)
    {
        // Whatever file system was there is gone first, and the new one is there last.
        await output.WriteAsync(0, new byte[Ext4Format.BlockBytes], cancellationToken).ConfigureAwait(false);
        await new Ext4DataCopy(plan, output, progress).RunAsync(cancellationToken).ConfigureAwait(false);
        await new Ext4Metadata(plan, output).WriteAsync(cancellationToken).ConfigureAwait(false);
    }
}

/// <summary>How far the contents of a file system are written.</summary>
/// <param name="Written">Bytes.</param>
/// <param name="Total">Bytes, known from the start.</param>
public readonly record struct Ext4Progress(long Written, long Total);
