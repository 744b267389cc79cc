using Uml.Storage.Blocks;
using Uml.Storage.Files;
using Uml.Storage.Formats.Raw;

namespace Uml.Storage.Formats.UmlCow;

/// <summary>The two files of a copy-on-write image, open and locked, which were found to belong together.</summary>
/// <param name="File">The copy-on-write file.</param>
/// <param name="Backing">The image below.</param>
/// <param name="Header">What the file says of itself.</param>
internal sealed record UmlCowImage(IImageFile File, RawBlockDevice Backing, UmlCowHeader Header)
{
    /// <summary>Makes a copy-on-write file over an image.</summary>
    /// <exception cref="DiskImageException">The file is there, or the image is not, or too large.</exception>
    public static void Create(string path, string backingPath)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentException.ThrowIfNullOrEmpty(backingPath);
        backingPath = Path.GetFullPath(backingPath);
        using HostFile backing = HostFile.Open(backingPath, new HostFileMode(IsReadOnly: true));
        UmlCowHeader header = UmlCowHeader.Create(backingPath, backing.GetLength(), backing.Status.ModifiedSeconds);
        using HostFile file = HostFile.Open(path, new HostFileMode(IsNew: true));
        try
        {
            // The header last: what was interrupted has no magic number.
            file.SetLength(header.DataOffset + (header.SectorCount * header.SectorSize));
            file.Run(HostFileOperation.Write, 0, header.Write(), 0);
            file.Run(HostFileOperation.Flush, 0, default, 0);
        }
        catch (BlockIOException e)
        {
            System.IO.File.Delete(path);
            throw new DiskImageException($"'{path}' cannot be made: {e.Message}", e);
        }
    }

    /// <summary>Opens a copy-on-write file, and the image below it to be written if it is to be merged into that.</summary>
    /// <exception cref="DiskImageException">The file is damaged, in use or not there; or the image below is, or has changed since the file was made.</exception>
    public static UmlCowImage Open(string path, UmlCowOptions options, bool writesBacking)
    {
        HostFile file = HostFile.Open(path, new HostFileMode(options.IsReadOnly));
        try
        {
            if (options.Locks)
            {
                FileLock.Take(file);
            }

            return Open(file, options, writesBacking);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Opens a copy-on-write image in a file that is open, and belongs to the image from then on.</summary>
    public static UmlCowImage Open(IImageFile file, UmlCowOptions options, bool writesBacking)
    {
        RawBlockDevice? backing = null;
        try
        {
            UmlCowHeader header = ReadHeader(file);
            backing = UmlCowBacking.Open(file.Path, header, options, !writesBacking);
            return new UmlCowImage(file, backing, Accept(file, header, backing));
        }
        catch (BlockIOException e)
        {
            backing?.File.Dispose();
            throw new DiskImageException($"'{file.Path}' cannot be opened: {e.Message}", e);
        }
        catch
        {
            backing?.File.Dispose();
            throw;
        }
    }

    /// <exception cref="DiskImageException">It is none, damaged or cut off.</exception>
    public static UmlCowHeader ReadHeader(IImageFile file)
    {
        byte[] bytes = new byte[Math.Min(UmlCowHeader.MaximumLength, file.GetLength())];
        file.Run(HostFileOperation.Read, 0, bytes, 0);
        UmlCowHeader header = UmlCowHeader.Parse(bytes, file.Path);
        if (file.GetLength() < header.DataOffset)
        {
            throw new DiskImageException($"'{file.Path}' has {file.GetLength()} bytes, and its header needs {header.DataOffset} before the data: it was cut off, "
                + "and what was in it is lost. Make a new copy-on-write file.");
        }

        return header;
    }

    /// <summary>
    /// Has a file belong to the image below as that is now. Behind a merge into that which was cut off: every sector that the merge writes is
    /// in the file, so that the two still make the same disk.
    /// </summary>
    /// <returns>Whether the file's version can say so.</returns>
    /// <exception cref="DiskImageException">The file is damaged or in use.</exception>
    /// <exception cref="BlockIOException">It could not be written.</exception>
    public static bool RenewTime(string path, long modifiedSeconds)
    {
        using HostFile file = HostFile.Open(path, default);
        FileLock.Take(file);
        UmlCowHeader header = ReadHeader(file);
        if (!header.CanRename)
        {
            return false;
        }

        file.Run(HostFileOperation.Write, 0, (header with { ModifiedTime = (uint)modifiedSeconds }).Write(), 0);
        file.Run(HostFileOperation.Flush, 0, default, 0);
        return true;
    }

    /// <summary>Makes sure that the file can be used as asked, and has it name the image where that is now.</summary>
    private static UmlCowHeader Accept(IImageFile file, UmlCowHeader header, RawBlockDevice backing)
    {
        if (file.IsReadOnly)
        {
            return header;
        }

        if (header.MappedSectors < header.SectorCount)
        {
            throw new DiskImageException($"'{file.Path}' has version {header.Version}, whose bitmap lacks the last {header.SectorCount - header.MappedSectors} sectors "
                + "of this image, so that they cannot be written. Open it to be read only, or merge it into a new image.");
        }

        if (header.CanRename && header.BackingPath != backing.Path)
        {
            header = header with { BackingPath = backing.Path };
            file.Run(HostFileOperation.Write, 0, header.Write(), 0);
        }

        return header;
    }
}
