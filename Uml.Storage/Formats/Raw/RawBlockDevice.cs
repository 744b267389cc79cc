using Uml.Storage.Blocks;
using Uml.Storage.Files;

namespace Uml.Storage.Formats.Raw;

/// <summary>
/// A raw image: a file, or a block device of the host, that has the bytes of the disk at their places. Sparse where nothing was written and
/// where discards or zeroes have given room back.
/// </summary>
/// <remarks>A file that ends within a sector of 512 bytes reads as if zeroes followed, and grows when its last sector is written.</remarks>
public sealed class RawBlockDevice : IBlockDevice, IFlushable, IDiscardable, IZeroable, IResizable, INonBlocking, IExtentMap
{
    private readonly HostFile _file;
    private readonly OpenState _state;
    private readonly bool _discards;
    private long _length;

    /// <summary>Where the file ends, within the last sector.</summary>
    private long _end;

    private RawBlockDevice(HostFile file, RawImageOptions options)
    {
        _file = file;
        _state = new OpenState($"'{file.Path}'");
        _discards = options.Discards;
        Limits = options.IsDirect ? new BlockLimits(AlignedBuffer.Alignment, AlignedBuffer.Alignment, AlignedBuffer.Alignment) : BlockLimits.Default;
        _end = file.GetLength();
        int block = Limits.LogicalBlockSize;
        if (options.IsDirect && _end % block != 0)
        {
            throw new DiskImageException($"'{file.Path}' has {_end} bytes, which are no whole blocks of {block}: resize it, or open it without direct access.");
        }

        _length = checked((_end + block - 1) / block * block);
    }

    /// <inheritdoc/>
    public event EventHandler? Resized;

    /// <summary>The file.</summary>
    public string Path => _file.Path;

    /// <inheritdoc/>
    public long Length => Volatile.Read(ref _length);

    /// <inheritdoc/>
    public bool IsReadOnly => _file.IsReadOnly;

    /// <inheritdoc/>
    public BlockLimits Limits { get; }

    /// <inheritdoc/>
    public bool ReadNeverWaits(long offset, int length) => true;

    /// <inheritdoc/>
    public bool WriteNeverWaits(long offset, int length) => _file.WritesNeverWait;

    /// <summary>Of the open file: what a copy-on-write image compares its header with.</summary>
    internal HostFile File => _file;

    /// <summary>Opens an image.</summary>
    /// <param name="path">The file, or the block device.</param>
    /// <param name="options">How; to be read and written when it is null.</param>
    /// <exception cref="DiskImageException">The file is not there, may not be opened so, or is in use; the message says what to do.</exception>
    public static RawBlockDevice Open(string path, RawImageOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        options ??= new RawImageOptions();
        HostFile file = HostFile.Open(path, new HostFileMode(options.IsReadOnly, options.IsDirect, options.IsSynchronous));
        try
        {
            if (options.Locks)
            {
                FileLock.Take(file);
            }

            return new RawBlockDevice(file, options);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Makes an image of zeroes, which takes no room on the host yet.</summary>
    /// <param name="path">The file, which must not be there.</param>
    /// <param name="length">Bytes, a multiple of 512.</param>
    /// <exception cref="ArgumentOutOfRangeException">The length is negative or no multiple of 512.</exception>
    /// <exception cref="DiskImageException">The file is there, or cannot be made.</exception>
    public static void Create(string path, long length)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfNotEqual(length % BlockLimits.SectorSize, 0, nameof(length));
        using HostFile file = HostFile.Open(path, new HostFileMode(IsNew: true));
        try
        {
            file.SetLength(length);
        }
        catch (BlockIOException e)
        {
            System.IO.File.Delete(path);
            throw new DiskImageException($"'{path}' cannot have {length} bytes: {e.Message}", e);
        }
    }

    /// <inheritdoc/>
    public T? GetCapability<T>()
        where T : class => typeof(T) == typeof(IDiscardable) && !_discards ? null : this as T;

    /// <inheritdoc/>
    public ValueTask ReadAsync(long offset, BlockBuffers buffers, CancellationToken cancellationToken = default)
    {
        _state.Check(cancellationToken);
        BlockRange.Check(this, offset, buffers.Length);
        long end = Volatile.Read(ref _end);
        if (offset + buffers.Length > end && end > offset - BlockLimits.SectorSize && end % BlockLimits.SectorSize != 0)
        {
            int inFile = (int)Math.Max(end - offset, 0);
            buffers.Slice(inFile, buffers.Length - inFile).Clear();
            buffers = buffers.Slice(0, inFile);
        }

        return _file.ReadAsync(offset, buffers);
    }

    /// <inheritdoc/>
    public ValueTask WriteAsync(long offset, BlockBuffers buffers, CancellationToken cancellationToken = default)
    {
        _state.Check(cancellationToken);
        BlockRange.CheckWrite(this, offset, buffers.Length);
        return offset + buffers.Length <= Volatile.Read(ref _end) ? _file.WriteAsync(offset, buffers) : WriteLastAsync(offset, buffers);
    }

    /// <inheritdoc/>
    public ValueTask FlushAsync(CancellationToken cancellationToken = default)
    {
        _state.Check(cancellationToken);
        return IsReadOnly ? ValueTask.CompletedTask : _file.FlushAsync();
    }

    /// <inheritdoc/>
    public ValueTask DiscardAsync(long offset, long length, CancellationToken cancellationToken = default)
    {
        _state.Check(cancellationToken);
        BlockRange.CheckWrite(this, offset, length);
        return _discards ? _file.ZeroAsync(offset, InFile(offset, length), mayDiscard: true) : ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public ValueTask WriteZeroesAsync(long offset, long length, bool mayDiscard, CancellationToken cancellationToken = default)
    {
        _state.Check(cancellationToken);
        BlockRange.CheckWrite(this, offset, length);
        return _file.ZeroAsync(offset, InFile(offset, length), mayDiscard && _discards);
    }

    /// <inheritdoc/>
    /// <exception cref="NotSupportedException">It is a block device of the host, whose size is not ours to set.</exception>
    public ValueTask ResizeAsync(long length, CancellationToken cancellationToken = default)
    {
        _state.Check(cancellationToken);
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfNotEqual(length % Limits.LogicalBlockSize, 0, nameof(length));
        BlockRange.CheckWrite(this, 0, 0);
        if (_file.IsBlockDevice)
        {
            throw new NotSupportedException($"'{Path}' is a block device of the host: resize it there.");
        }

        _file.SetLength(length);
        Volatile.Write(ref _end, length);
        Volatile.Write(ref _length, length);
        Resized?.Invoke(this, EventArgs.Empty);
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public ValueTask<BlockExtent> FindExtentAsync(long offset, long length, CancellationToken cancellationToken = default)
    {
        _state.Check(cancellationToken);
        ArgumentOutOfRangeException.ThrowIfZero(length);
        BlockRange.Check(this, offset, length);
        return ValueTask.FromResult(HostFileExtents.Find(_file, offset, length, Limits.LogicalBlockSize));
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        if (_state.TryClose())
        {
            _file.Dispose();
        }

        return ValueTask.CompletedTask;
    }

    /// <summary>Bytes of a range that the file has.</summary>
    private long InFile(long offset, long length) => Math.Clamp(Volatile.Read(ref _end) - offset, 0, length);

    /// <summary>A write of the sector that the file ends in, which is whole afterwards.</summary>
    private async ValueTask WriteLastAsync(long offset, BlockBuffers buffers)
    {
        await _file.WriteAsync(offset, buffers).ConfigureAwait(false);
        Volatile.Write(ref _end, Length);
    }
}
