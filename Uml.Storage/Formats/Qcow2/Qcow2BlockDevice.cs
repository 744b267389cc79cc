using System.Runtime.CompilerServices;
using Uml.Storage.Blocks;
using Uml.Storage.Files;

namespace Uml.Storage.Formats.Qcow2;

/// <summary>
/// A qcow2 image of QEMU, versions 2 and 3: grows as it is written, may be over another image, and may have compressed clusters and internal
/// snapshots, which stay as they are.
/// </summary>
/// <remarks>
/// Tables change in memory and are written by a flush, in an order in which the image is usable wherever it is interrupted: it has what it had
/// at the last flush or what was written since, and at worst clusters that are counted and not used, which a check frees.
/// </remarks>
public sealed class Qcow2BlockDevice : IBlockDevice, IFlushable, IDiscardable, IZeroable, IResizable, IExtentMap, INonBlocking
{
    private readonly Qcow2Image _image;
    private readonly IBlockDevice? _backing;
    private readonly Qcow2Options _options;
    private readonly Qcow2Reader _reader;
    private readonly Qcow2RequestEpochs _epochs = new();
    private readonly Qcow2Writer _writer;
    private readonly Qcow2Zeroer _zeroer;
    private readonly Qcow2WriteBack _writeBack;
    private readonly Qcow2Extents _extents;
    private readonly SemaphoreSlim _resizing = new(1);
    private long _length;
    private readonly OpenState _state;

    private Qcow2BlockDevice(
        Qcow2Image image, Qcow2SnapshotInfo? snapshot, Qcow2RootTable l1, Qcow2RootTable counts, IBlockDevice? backing, Qcow2Options options)
    {
        (_image, _backing, _options) = (image, backing, options);
        _state = new OpenState($"'{image.File.Path}'");
        Qcow2Header header = image.Header;
        Qcow2Geometry geometry = header.Geometry;
        _length = (snapshot?.Length ?? header.Length) / BlockLimits.SectorSize * BlockLimits.SectorSize;
        Lock imageLock = new();
        Qcow2Reclaimer reclaimer = new(_epochs);
        Qcow2RangeLocks ranges = new();
        Qcow2Mapping mapping = new(image.Content, geometry, l1, options.CacheBytes, imageLock);
        Qcow2Metadata metadata = new(image, l1, counts);
        Qcow2Refcounts refcounts = new(image.Content, geometry, counts, reclaimer, metadata, options.CacheBytes / 4);
        Qcow2Decompressor decompressor = new(image.Content, geometry, header.Compression);
        _extents = new Qcow2Extents(mapping, backing);
        _reader = new Qcow2Reader(image.Content, geometry, mapping, decompressor, backing);
        _writeBack = new Qcow2WriteBack(image.Content, geometry, image.Sector, mapping, refcounts, reclaimer, metadata, options.Discards, imageLock);
        _writer = new Qcow2Writer(image.Content, geometry, mapping, refcounts, reclaimer, _reader, _writeBack, ranges, metadata, imageLock);
        _zeroer = new Qcow2Zeroer(geometry, mapping, refcounts, reclaimer, _reader, _writer, _writeBack, ranges, metadata, imageLock);
        IsReadOnly = image.File.IsReadOnly || snapshot is not null;
        Limits = new BlockLimits(BlockLimits.SectorSize, BlockLimits.Default.PhysicalBlockSize, geometry.ClusterSize);
    }

    /// <inheritdoc/>
    public event EventHandler? Resized;

    /// <summary>The file.</summary>
    public string Path => _image.File.Path;

    /// <summary>What the image said of itself when it was opened.</summary>
    public Qcow2Info Info => _image.Info;

    /// <summary>The image below, or null.</summary>
    internal IBlockDevice? Backing => _backing;

    /// <inheritdoc/>
    public long Length => Volatile.Read(ref _length);

    /// <inheritdoc/>
    public bool IsReadOnly { get; }

    /// <inheritdoc/>
    public BlockLimits Limits { get; }

    /// <summary>Makes an image of zeroes, or of what an image below it has.</summary>
    /// <param name="path">The file, which must not be there.</param>
    /// <param name="length">Bytes of the disk, a multiple of 512.</param>
    /// <param name="options">How; as <c>qemu-img create</c> does when it is null.</param>
    /// <exception cref="ArgumentOutOfRangeException">The length is negative, no multiple of 512, or more than the size of clusters allows.</exception>
    /// <exception cref="DiskImageException">The file is there, or cannot be made.</exception>
    public static void Create(string path, long length, Qcow2CreateOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        Qcow2Creator creator = new(length, options ?? new Qcow2CreateOptions());
        using HostFile file = HostFile.Open(path, new HostFileMode(IsNew: true));
        try
        {
            creator.Write(file);
        }
        catch (BlockIOException e)
        {
            File.Delete(path);
            throw new DiskImageException($"'{path}' cannot be made: {e.Message}", e);
        }
    }

    /// <summary>Opens an image, and those below it to be read only.</summary>
    /// <param name="path">The file.</param>
    /// <param name="options">How; to be read and written when it is null.</param>
    /// <exception cref="DiskImageException">
    /// The file is damaged, in use, not there, or has what is not supported; or one below it is. The message says what to do.
    /// </exception>
    public static Qcow2BlockDevice Open(string path, Qcow2Options? options = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return Open(path, options ?? new Qcow2Options(), []);
    }

    /// <summary>What an image says of itself. Those below it are not looked at.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="DiskImageException">The file is damaged, not there, or has what is not supported.</exception>
    public static Qcow2Info GetInfo(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        using HostFile file = HostFile.Open(path, new HostFileMode(IsReadOnly: true));
        return Qcow2Image.Open(file).Info;
    }

    /// <inheritdoc/>
    public T? GetCapability<T>()
        where T : class => typeof(T) == typeof(IDiscardable) && !_options.Discards ? null : this as T;

    /// <inheritdoc/>
    public ValueTask ReadAsync(long offset, BlockBuffers buffers, CancellationToken cancellationToken = default)
    {
        _state.Check(cancellationToken);
        BlockRange.Check(this, offset, buffers.Length);
        int epoch = _epochs.Enter();
        try
        {
            return EndRequest(_reader.ReadAsync(offset, buffers), epoch);
        }
        catch
        {
            _epochs.Leave(epoch);
            throw;
        }
    }

    /// <inheritdoc/>
    public ValueTask WriteAsync(long offset, BlockBuffers buffers, CancellationToken cancellationToken = default)
    {
        _state.Check(cancellationToken);
        BlockRange.CheckWrite(this, offset, buffers.Length);
        int epoch = _epochs.Enter();
        try
        {
            return EndRequest(_writer.WriteAsync(offset, buffers), epoch);
        }
        catch
        {
            _epochs.Leave(epoch);
            throw;
        }
    }

    /// <inheritdoc/>
    public bool ReadNeverWaits(long offset, int length) => _reader.NeverWaits(offset, length);

    /// <inheritdoc/>
    public bool WriteNeverWaits(long offset, int length) => _image.File.WritesNeverWait && _writer.NeverWaits(offset, length);

    /// <inheritdoc/>
    public ValueTask FlushAsync(CancellationToken cancellationToken = default)
    {
        _state.Check(cancellationToken);
        return IsReadOnly ? ValueTask.CompletedTask : _writeBack.FlushAsync();
    }

    /// <inheritdoc/>
    public ValueTask DiscardAsync(long offset, long length, CancellationToken cancellationToken = default)
    {
        _state.Check(cancellationToken);
        BlockRange.CheckWrite(this, offset, length);
        return _options.Discards ? ZeroAsync(offset, length, mayDiscard: true, mustZero: false) : ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public ValueTask WriteZeroesAsync(long offset, long length, bool mayDiscard, CancellationToken cancellationToken = default)
    {
        _state.Check(cancellationToken);
        BlockRange.CheckWrite(this, offset, length);
        return ZeroAsync(offset, length, mayDiscard && _options.Discards, mustZero: true);
    }

    /// <inheritdoc/>
    /// <remarks>A smaller disk keeps its L1 table. Requests behind the new end must have ended.</remarks>
    /// <exception cref="NotSupportedException">The image has internal snapshots and version 2, in which they have no size of their own.</exception>
    public async ValueTask ResizeAsync(long length, CancellationToken cancellationToken = default)
    {
        _state.Check(cancellationToken);
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfNotEqual(length % BlockLimits.SectorSize, 0, nameof(length));
        BlockRange.CheckWrite(this, 0, 0);
        Qcow2Geometry geometry = _image.Header.Geometry;
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, geometry.MaximumLength, nameof(length));
        if (geometry.Version == 2 && Info.Snapshots.Count != 0)
        {
            throw new NotSupportedException($"'{Path}' has internal snapshots and version 2, and cannot change its size. Make it version 3 (qemu-img amend -o compat=v3).");
        }

        await _resizing.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            await SetLengthAsync(length).ConfigureAwait(false);
        }
        finally
        {
            _resizing.Release();
        }

        Resized?.Invoke(this, EventArgs.Empty);
    }

    /// <inheritdoc/>
    public async ValueTask<BlockExtent> FindExtentAsync(long offset, long length, CancellationToken cancellationToken = default)
    {
        _state.Check(cancellationToken);
        ArgumentOutOfRangeException.ThrowIfZero(length);
        BlockRange.Check(this, offset, length);
        int epoch = _epochs.Enter();
        try
        {
            return await _extents.FindAsync(offset, length, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _epochs.Leave(epoch);
        }
    }

    /// <summary>Flushes what was written, and closes the file and those below it.</summary>
    /// <exception cref="IOException">What was written since the last flush could not be made durable; the files are closed all the same.</exception>
    public async ValueTask DisposeAsync()
    {
        if (!_state.TryClose())
        {
            return;
        }

        try
        {
            if (!IsReadOnly)
            {
                await _writeBack.CloseAsync().ConfigureAwait(false);
            }
        }
        finally
        {
            _image.File.Dispose();
            if (_backing is not null)
            {
                await _backing.DisposeAsync().ConfigureAwait(false);
            }
        }
    }

    /// <summary>Opens an image below others.</summary>
    internal static Qcow2BlockDevice Open(string path, Qcow2Options options, IReadOnlyList<string> above)
    {
        HostFile file = HostFile.Open(path, new HostFileMode(options.IsReadOnly || options.Snapshot is not null));
        try
        {
            if (options.Locks)
            {
                FileLock.Take(file);
            }

            return Open(file, options, above);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Opens an image in a file that is open, and belongs to the device from then on.</summary>
    internal static Qcow2BlockDevice Open(IImageFile file, Qcow2Options options, IReadOnlyList<string> above)
    {
        try
        {
            Qcow2Image image = Qcow2Image.Open(file);
            if (!file.IsReadOnly)
            {
                image = image.PrepareToWrite();
            }

            Qcow2Header header = image.Header;
            Qcow2SnapshotInfo? snapshot = options.Snapshot is { } name ? image.FindSnapshot(name) : null;
            Qcow2RootTable l1 = Qcow2RootTable.Read(image.Content, snapshot?.L1Offset ?? header.L1Offset, snapshot?.L1Count ?? header.L1Count);
            Qcow2RootTable counts = Qcow2RootTable.Read(image.Content, header.RefcountTableOffset, header.RefcountTableClusters << (header.Geometry.ClusterBits - 3));

            // The last that can fail: nobody would close those below.
            IBlockDevice? backing = Qcow2Backing.Open(file.Path, header, options, [.. above, file.Path]);
            return new Qcow2BlockDevice(image, snapshot, l1, counts, backing, options);
        }
        catch (BlockIOException e)
        {
            throw new DiskImageException($"'{file.Path}' cannot be opened: {e.Message}", e);
        }
    }

    private ValueTask EndRequest(ValueTask request, int epoch)
    {
        if (!request.IsCompletedSuccessfully)
        {
            return WaitAsync(request, epoch);
        }

        request.GetAwaiter().GetResult();
        _epochs.Leave(epoch);
        return ValueTask.CompletedTask;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask WaitAsync(ValueTask request, int epoch)
    {
        try
        {
            await request.ConfigureAwait(false);
        }
        finally
        {
            _epochs.Leave(epoch);
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask ZeroAsync(long offset, long length, bool mayDiscard, bool mustZero)
    {
        int epoch = _epochs.Enter();
        try
        {
            await _zeroer.ZeroAsync(offset, length, Length, mayDiscard, mustZero).ConfigureAwait(false);
        }
        finally
        {
            _epochs.Leave(epoch);
        }
    }

    private async ValueTask SetLengthAsync(long length)
    {
        long old = Length;
        if (length < old)
        {
            Volatile.Write(ref _length, length);
            await _zeroer.ZeroAsync(length, old - length, old, mayDiscard: true, mustZero: true).ConfigureAwait(false);
            await _writeBack.SetLengthAsync(length).ConfigureAwait(false);
            return;
        }

        // Behind the old end are perhaps bytes of its last cluster, what a write that was under way left when the image became smaller, and what the
        // image below has there.
        long visible = Math.Max(_backing?.Length ?? 0, _writeBack.MappedLength);
        _writeBack.GrowL1(_image.Header.Geometry.CountL1Entries(length));
        await _zeroer.ZeroAsync(old, Math.Clamp(visible - old, 0, length - old), length, mayDiscard: true, mustZero: true).ConfigureAwait(false);
        await _writeBack.SetLengthAsync(length).ConfigureAwait(false);
        Volatile.Write(ref _length, length);
    }
}
