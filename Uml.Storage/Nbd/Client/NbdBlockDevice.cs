using System.Runtime.CompilerServices;
using Uml.Storage.Blocks;
using Uml.Storage.Nbd.Protocol;

namespace Uml.Storage.Nbd.Client;

/// <summary>
/// An export of an NBD server (doc/proto.md of NetworkBlockDevice/nbd), over TCP or a Unix socket, encrypted or not. It has the capabilities that
/// the server offers for the export.
/// </summary>
/// <remarks>
/// <para>
/// When the connection is lost, another is made, and requests that were not answered are sent again. The server may have crashed meanwhile, and lost
/// what it had acknowledged and not flushed: the device keeps such writes (<see cref="NbdClientOptions.ReplayBufferSize"/>), and writes them again, in
/// the order of their acknowledgements, before anything else. So a flush never lies, and what it acknowledged is not lost unless the server loses
/// it. Where the server says of one of those writes, or of a flush, that it could not be done, every later flush fails.
/// </para>
/// <para>
/// A server that lives on when a connection is lost may still carry out an old request after the one that was sent again. The protocol has nothing
/// against that: a server should end what it has begun before it lets go of the export. Of overlapping writes that were under way at once either may be
/// the later one, and after a crash of the server the other one. Discards are not done again. A server without NBD_FLAG_SEND_FLUSH is taken for one that acknowledges what is durable.
/// </para>
/// <para>
/// A server that breaks the protocol, or whose export has changed when it comes back, is not used again: all requests fail.
/// </para>
/// </remarks>
public sealed class NbdBlockDevice : IBlockDevice, IFlushable, IDiscardable, IZeroable
{
    /// <summary>"Block size constraints" are for data; requests without any may be larger. A limit of ours, for what a server can do in a while.</summary>
    private const long MaximumRange = 1L << 30;

    private readonly NbdExportInfo _export;
    private readonly NbdClient _client;
    private readonly NbdSession _session;
    private readonly NbdCommandFlags _writeFlags;
    private readonly bool _flushesWrites;
    private readonly int _maximumRead, _maximumWrite;
    private readonly OpenState _state;

    private NbdBlockDevice(NbdConnector connector, NbdClientOptions options, NbdLink link)
    {
        _export = link.Export;
        bool canFlush = _export.Has(NbdExportFlags.SendFlush), canFua = _export.Has(NbdExportFlags.SendFua);
        bool isFua = options.IsSynchronous && canFua;
        _writeFlags = isFua ? NbdCommandFlags.Fua : NbdCommandFlags.None;
        _flushesWrites = options.IsSynchronous && !canFua && canFlush;
        EndPoint = connector.End;
        _state = new OpenState($"The connection to {EndPoint}");
        IsReadOnly = options.IsReadOnly || _export.Has(NbdExportFlags.ReadOnly);
        bool isKept = !IsReadOnly && canFlush && !isFua && options.ReconnectTimeout > TimeSpan.Zero;
        NbdJournal? journal = isKept ? new NbdJournal(Math.Max(options.ReplayBufferSize, 4 * Limits.LogicalBlockSize)) : null;
        _maximumRead = (int)_export.MaximumBlock;
        _maximumWrite = Math.Min(_maximumRead, (journal?.MaximumWrite ?? _maximumRead) / Limits.LogicalBlockSize * Limits.LogicalBlockSize);
        _client = new NbdClient(EndPoint, options, journal);
        _session = new NbdSession(connector, options, _client, link);
    }

    /// <summary>The server and the export.</summary>
    public NbdEndPoint EndPoint { get; }

    /// <inheritdoc/>
    public long Length => _export.Length;

    /// <inheritdoc/>
    public bool IsReadOnly { get; }

    /// <inheritdoc/>
    public BlockLimits Limits => _export.Limits;

    /// <summary>Opens an export.</summary>
    /// <param name="uri">The server and the export; see <see cref="NbdEndPoint.Parse"/>.</param>
    /// <param name="options">How; the defaults when it is null.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    /// <exception cref="DiskImageException">There is no such server or export, or it cannot be used; the message says what to do.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range.</exception>
    public static Task<NbdBlockDevice> ConnectAsync(Uri uri, NbdClientOptions? options = null, CancellationToken cancellationToken = default) =>
        ConnectAsync(NbdEndPoint.Parse(uri), options, cancellationToken);

    /// <summary>Opens an export.</summary>
    /// <param name="endPoint">The server and the export.</param>
    /// <param name="options">How; the defaults when it is null.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    /// <exception cref="DiskImageException">There is no such server or export, or it cannot be used; the message says what to do.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range.</exception>
    public static async Task<NbdBlockDevice> ConnectAsync(
        NbdEndPoint endPoint, NbdClientOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(endPoint);
        options ??= new NbdClientOptions();
        options.Validate();
        NbdConnector connector = new(endPoint, options);
        try
        {
            NbdLink link = await connector.ConnectAsync(options.ConnectTimeout, cancellationToken).ConfigureAwait(false);
            return new NbdBlockDevice(connector, options, link);
        }
        catch (IOException e) when (e is not DiskImageException)
        {
            throw new DiskImageException($"{endPoint} cannot be reached: {e.Message}. Check that the server runs, and its address.", e);
        }
    }

    /// <inheritdoc/>
    public T? GetCapability<T>()
        where T : class
    {
        bool isThere = typeof(T) == typeof(IFlushable) ? _export.Has(NbdExportFlags.SendFlush)
            : typeof(T) == typeof(IDiscardable) ? _export.Has(NbdExportFlags.SendTrim)
            : typeof(T) != typeof(IZeroable) || _export.Has(NbdExportFlags.SendWriteZeroes);
        return isThere ? this as T : null;
    }

    /// <inheritdoc/>
    public ValueTask ReadAsync(long offset, BlockBuffers buffers, CancellationToken cancellationToken = default)
    {
        _state.Check(cancellationToken);
        BlockRange.Check(this, offset, buffers.Length);
        return buffers.IsEmpty ? ValueTask.CompletedTask
            : buffers.Length <= _maximumRead ? _client.Submit(NbdCommand.Read, NbdCommandFlags.None, offset, (uint)buffers.Length, buffers)
            : TransferPartsAsync(NbdCommand.Read, NbdCommandFlags.None, offset, buffers, _maximumRead);
    }

    /// <inheritdoc/>
    public ValueTask WriteAsync(long offset, BlockBuffers buffers, CancellationToken cancellationToken = default)
    {
        _state.Check(cancellationToken);
        BlockRange.CheckWrite(this, offset, buffers.Length);
        if (buffers.IsEmpty)
        {
            return ValueTask.CompletedTask;
        }

        ValueTask write = buffers.Length <= _maximumWrite
            ? _client.Submit(NbdCommand.Write, _writeFlags, offset, (uint)buffers.Length, buffers)
            : TransferPartsAsync(NbdCommand.Write, _writeFlags, offset, buffers, _maximumWrite);
        return _flushesWrites ? WriteThrough.FlushBehindAsync(write, this) : write;
    }

    /// <inheritdoc/>
    public ValueTask FlushAsync(CancellationToken cancellationToken = default)
    {
        _state.Check(cancellationToken);
        return IsReadOnly || !_export.Has(NbdExportFlags.SendFlush) ? ValueTask.CompletedTask : Flush();
    }

    /// <inheritdoc/>
    public ValueTask DiscardAsync(long offset, long length, CancellationToken cancellationToken = default)
    {
        _state.Check(cancellationToken);
        BlockRange.CheckWrite(this, offset, length);
        return _export.Has(NbdExportFlags.SendTrim) ? ChangeRange(NbdCommand.Trim, NbdCommandFlags.None, offset, length) : ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    /// <exception cref="NotSupportedException">The server does not offer it.</exception>
    public ValueTask WriteZeroesAsync(long offset, long length, bool mayDiscard, CancellationToken cancellationToken = default)
    {
        _state.Check(cancellationToken);
        BlockRange.CheckWrite(this, offset, length);
        if (!_export.Has(NbdExportFlags.SendWriteZeroes))
        {
            throw new NotSupportedException($"{EndPoint} cannot zero without being sent the zeroes: write them.");
        }

        ValueTask write = ChangeRange(NbdCommand.WriteZeroes, _writeFlags | (mayDiscard ? NbdCommandFlags.None : NbdCommandFlags.NoHole), offset, length);
        return _flushesWrites ? WriteThrough.FlushBehindAsync(write, this) : write;
    }

    /// <summary>Waits up to 5 seconds for requests under way, and closes the connection. It does not flush.</summary>
    public ValueTask DisposeAsync() => _state.TryClose() ? _session.DisposeAsync() : ValueTask.CompletedTask;

    private ValueTask Flush() => _client.Submit(NbdCommand.Flush, NbdCommandFlags.None, 0, 0, default);

    private ValueTask ChangeRange(NbdCommand command, NbdCommandFlags flags, long offset, long length) =>
        length == 0 ? ValueTask.CompletedTask
        : length <= MaximumRange ? _client.Submit(command, flags, offset, (uint)length, default)
        : ChangePartsAsync(command, flags, offset, length);

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask TransferPartsAsync(NbdCommand command, NbdCommandFlags flags, long offset, BlockBuffers buffers, int maximum)
    {
        for (int done = 0; done < buffers.Length;)
        {
            int count = Math.Min(buffers.Length - done, maximum);
            await _client.Submit(command, flags, offset + done, (uint)count, buffers.Slice(done, count)).ConfigureAwait(false);
            done += count;
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask ChangePartsAsync(NbdCommand command, NbdCommandFlags flags, long offset, long length)
    {
        for (long done = 0; done < length;)
        {
            long count = Math.Min(length - done, MaximumRange);
            await _client.Submit(command, flags, offset + done, (uint)count, default).ConfigureAwait(false);
            done += count;
        }
    }
}
