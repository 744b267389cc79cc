using System.Runtime.CompilerServices;
using Uml.Storage.Blocks;
using Uml.Storage.Files;
using Uml.Storage.Formats.Raw;

namespace Uml.Storage.Formats.UmlCow;

/// <summary>
/// A copy-on-write file of User Mode Linux: what was written over an image that stays as it is, which any number of such files can share.
/// Read in versions 1 to 3, made in version 3, interchangeable with User Mode Linux and its tools.
/// </summary>
/// <remarks>
/// A flush makes the data durable first, and then the bitmap that says which sectors the file has. So whatever happens to the process or
/// the host, a sector has what it had at the last flush or what was written since, and never anything else.
/// </remarks>
public sealed class UmlCowBlockDevice : IBlockDevice, IFlushable, IDiscardable, IZeroable, INonBlocking, IExtentMap
{
    /// <summary>Bytes that one question for an extent looks at: a limit of ours, of the time that it takes.</summary>
    private const long LargestLook = 1 << 30;

    private readonly IImageFile _file;
    private readonly RawBlockDevice _backing;
    private readonly UmlCowHeader _header;
    private readonly UmlCowBitmap _bitmap;
    private readonly UmlCowOptions _options;
    private readonly SemaphoreSlim _flushing = new(1), _copying = new(1);
    private readonly OpenState _state;

    private UmlCowBlockDevice(UmlCowImage image, UmlCowOptions options)
    {
        (_file, _backing, _header) = image;
        _options = options;
        _state = new OpenState($"'{Path}'");
        _bitmap = new UmlCowBitmap(_file, _header);
        Limits = new BlockLimits(BlockLimits.SectorSize, Math.Max(_header.SectorSize, BlockLimits.Default.PhysicalBlockSize), Math.Max(_header.SectorSize, 4096));
    }

    /// <summary>The copy-on-write file.</summary>
    public string Path => _file.Path;

    /// <summary>The image below.</summary>
    public string BackingPath => _backing.Path;

    /// <inheritdoc/>
    public long Length => _backing.Length;

    /// <inheritdoc/>
    public bool IsReadOnly => _file.IsReadOnly;

    /// <inheritdoc/>
    public BlockLimits Limits { get; }

    /// <inheritdoc/>
    public bool ReadNeverWaits(long offset, int length) => true;

    /// <inheritdoc/>
    public bool WriteNeverWaits(long offset, int length) => _file.WritesNeverWait && !_options.IsSynchronous;

    /// <summary>What the file says of itself.</summary>
    internal UmlCowHeader Header => _header;

    /// <summary>The image below, which a merge writes to.</summary>
    internal RawBlockDevice Backing => _backing;

    /// <summary>Makes a copy-on-write file over an image.</summary>
    /// <param name="path">The file, which must not be there.</param>
    /// <param name="backingPath">The image, a raw one. The file keeps its absolute path.</param>
    /// <exception cref="DiskImageException">The file is there, or the image is not, or too large.</exception>
    public static void Create(string path, string backingPath) => UmlCowImage.Create(path, backingPath);

    /// <summary>Opens a copy-on-write file, and the image below it to be read only.</summary>
    /// <param name="path">The file.</param>
    /// <param name="options">How; to be read and written over the image that it names, when it is null.</param>
    /// <exception cref="DiskImageException">
    /// The file is damaged, in use or not there; or the image below is, or has changed since the file was made. The message says what to do.
    /// </exception>
    public static UmlCowBlockDevice Open(string path, UmlCowOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return Open(path, options ?? new UmlCowOptions(), writesBacking: false);
    }

    /// <summary>Opens a copy-on-write file, and the image below it to be written if it is to be merged into that.</summary>
    /// <exception cref="DiskImageException">As for the other overload; or the image below is in use, by another such file perhaps.</exception>
    internal static UmlCowBlockDevice Open(string path, UmlCowOptions options, bool writesBacking) =>
        new(UmlCowImage.Open(path, options, writesBacking), options);

    /// <summary>Opens a copy-on-write image in a file that is open, and belongs to the device from then on.</summary>
    internal static UmlCowBlockDevice Open(IImageFile file, UmlCowOptions options, bool writesBacking) =>
        new(UmlCowImage.Open(file, options, writesBacking), options);

    /// <inheritdoc/>
    public T? GetCapability<T>()
        where T : class => typeof(T) == typeof(IDiscardable) && !_options.Discards ? null : this as T;

    /// <inheritdoc/>
    public ValueTask ReadAsync(long offset, BlockBuffers buffers, CancellationToken cancellationToken = default)
    {
        _state.Check(cancellationToken);
        BlockRange.Check(this, offset, buffers.Length);
        ValueTask part;
        for (int done = 0; done < buffers.Length;)
        {
            int length = (int)FindRun(offset + done, buffers.Length - done, out bool isPresent);
            part = ReadRunAsync(offset + done, buffers.Slice(done, length), isPresent);
            done += length;
            if (!part.IsCompletedSuccessfully)
            {
                return done == buffers.Length ? part : ReadRestAsync(part, offset + done, buffers.Slice(done, buffers.Length - done));
            }

            part.GetAwaiter().GetResult();
        }

        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public ValueTask WriteAsync(long offset, BlockBuffers buffers, CancellationToken cancellationToken = default)
    {
        _state.Check(cancellationToken);
        BlockRange.CheckWrite(this, offset, buffers.Length);
        return EndChange(IsWhole(offset, buffers.Length) ? WriteWhole(offset, buffers) : WritePartsAsync(offset, buffers));
    }

    /// <inheritdoc/>
    public ValueTask FlushAsync(CancellationToken cancellationToken = default)
    {
        _state.Check(cancellationToken);
        return FlushChangesAsync();
    }

    /// <inheritdoc/>
    public ValueTask DiscardAsync(long offset, long length, CancellationToken cancellationToken = default)
    {
        _state.Check(cancellationToken);
        return _options.Discards ? WriteZeroesAsync(offset, length, mayDiscard: true, cancellationToken) : ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public ValueTask WriteZeroesAsync(long offset, long length, bool mayDiscard, CancellationToken cancellationToken = default)
    {
        _state.Check(cancellationToken);
        BlockRange.CheckWrite(this, offset, length);
        return EndChange(ZeroAsync(offset, length, mayDiscard && _options.Discards));
    }

    /// <inheritdoc/>
    public async ValueTask<BlockExtent> FindExtentAsync(long offset, long length, CancellationToken cancellationToken = default)
    {
        _state.Check(cancellationToken);
        ArgumentOutOfRangeException.ThrowIfZero(length);
        BlockRange.Check(this, offset, length);
        length = FindRun(offset, Math.Min(length, LargestLook), out bool isPresent);
        return isPresent ? HostFileExtents.Find(_file, _header.DataOffset + offset, length, BlockLimits.SectorSize)
            : await _backing.FindExtentAsync(offset, length, cancellationToken).ConfigureAwait(false) with { IsBelow = true };
    }

    /// <summary>Flushes what was written, and closes both files.</summary>
    /// <exception cref="IOException">What was written since the last flush could not be made durable; the files are closed all the same.</exception>
    public async ValueTask DisposeAsync()
    {
        if (!_state.TryClose())
        {
            return;
        }

        try
        {
            await FlushChangesAsync().ConfigureAwait(false);
        }
        finally
        {
            _file.Dispose();
            await _backing.DisposeAsync().ConfigureAwait(false);
        }
    }

    /// <summary>Whether a range has no sectors of the format in part.</summary>
    private bool IsWhole(long offset, long length) => ((offset | length) & (_header.SectorSize - 1)) == 0;

    /// <summary>How many bytes from an offset on come from the same place.</summary>
    private long FindRun(long offset, long length, out bool isPresent)
    {
        long sector = offset / _header.SectorSize;
        long before = offset - (sector * _header.SectorSize);
        long count = _bitmap.CountAlike(sector, (before + length + _header.SectorSize - 1) / _header.SectorSize, out isPresent);
        return Math.Min(length, (count * _header.SectorSize) - before);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask FlushChangesAsync()
    {
        if (IsReadOnly)
        {
            return;
        }

        await _flushing.WaitAsync().ConfigureAwait(false);
        try
        {
            if (!_bitmap.HasChanges)
            {
                await _file.FlushAsync().ConfigureAwait(false);
                return;
            }

            // Only bits of data that the first flush makes durable.
            using UmlCowBitmap.Snapshot changes = _bitmap.Take();
            try
            {
                await _file.FlushAsync().ConfigureAwait(false);
                await changes.WriteAsync().ConfigureAwait(false);
                await _file.FlushAsync().ConfigureAwait(false);
            }
            catch
            {
                changes.PutBack();
                throw;
            }
        }
        finally
        {
            _flushing.Release();
        }
    }

    private ValueTask EndChange(ValueTask change) => _options.IsSynchronous ? WriteThrough.FlushBehindAsync(change, this) : change;

    private ValueTask WriteWhole(long offset, BlockBuffers buffers)
    {
        ValueTask write = _file.WriteAsync(_header.DataOffset + offset, buffers);
        if (!write.IsCompletedSuccessfully)
        {
            return EndWriteAsync(write, offset, buffers.Length);
        }

        write.GetAwaiter().GetResult();
        SetPresent(offset, buffers.Length);
        return ValueTask.CompletedTask;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask ZeroAsync(long offset, long length, bool mayDiscard)
    {
        bool isWhole = IsWhole(offset, length);
        if (!isWhole)
        {
            await _copying.WaitAsync().ConfigureAwait(false);
        }

        try
        {
            await CopyEdgesAsync(offset, length).ConfigureAwait(false);
            await _file.ZeroAsync(_header.DataOffset + offset, length, mayDiscard).ConfigureAwait(false);
            SetPresent(offset, length);
        }
        finally
        {
            if (!isWhole)
            {
                _copying.Release();
            }
        }
    }

    private ValueTask ReadRunAsync(long offset, BlockBuffers buffers, bool isPresent) =>
        isPresent ? _file.ReadAsync(_header.DataOffset + offset, buffers) : _backing.ReadAsync(offset, buffers);

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask ReadRestAsync(ValueTask first, long offset, BlockBuffers buffers)
    {
        await first.ConfigureAwait(false);
        for (int done = 0; done < buffers.Length;)
        {
            int length = (int)FindRun(offset + done, buffers.Length - done, out bool isPresent);
            await ReadRunAsync(offset + done, buffers.Slice(done, length), isPresent).ConfigureAwait(false);
            done += length;
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask EndWriteAsync(ValueTask write, long offset, int length)
    {
        await write.ConfigureAwait(false);
        SetPresent(offset, length);
    }

    /// <summary>A write with parts of sectors, whose other parts are copied from the image first.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask WritePartsAsync(long offset, BlockBuffers buffers)
    {
        await _copying.WaitAsync().ConfigureAwait(false);
        try
        {
            await CopyEdgesAsync(offset, buffers.Length).ConfigureAwait(false);
            await _file.WriteAsync(_header.DataOffset + offset, buffers).ConfigureAwait(false);
            SetPresent(offset, buffers.Length);
        }
        finally
        {
            _copying.Release();
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask CopyEdgesAsync(long offset, long length)
    {
        long first = offset / _header.SectorSize * _header.SectorSize;
        long end = offset + length;
        long last = end / _header.SectorSize * _header.SectorSize;
        if (first != offset)
        {
            await CopyAsync(first, (int)(offset - first)).ConfigureAwait(false);
        }

        if (last != end)
        {
            long whole = Math.Min(_header.SectorSize, Length - last);
            await CopyAsync(end, (int)(last + whole - end)).ConfigureAwait(false);
        }
    }

    /// <summary>Copies part of a sector from the image, if the file does not have that sector.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask CopyAsync(long offset, int length)
    {
        _bitmap.CountAlike(offset / _header.SectorSize, 1, out bool isPresent);
        if (!isPresent && length > 0)
        {
            byte[] copy = new byte[length];
            await _backing.ReadAsync(offset, copy).ConfigureAwait(false);
            await _file.WriteAsync(_header.DataOffset + offset, copy).ConfigureAwait(false);
        }
    }

    private void SetPresent(long offset, long length)
    {
        long first = offset / _header.SectorSize;
        _bitmap.Set(first, ((offset + length + _header.SectorSize - 1) / _header.SectorSize) - first);
    }
}
