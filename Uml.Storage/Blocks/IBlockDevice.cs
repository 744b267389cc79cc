namespace Uml.Storage.Blocks;

/// <summary>
/// Storage in blocks: a file, memory, a server, or something around another one. What it can do besides reading and writing stands in
/// interfaces of its own (<see cref="IFlushable"/>, <see cref="IDiscardable"/>, <see cref="IZeroable"/>, <see cref="IResizable"/>), to be had
/// by <see cref="GetCapability"/>.
/// </summary>
/// <remarks>
/// <para>
/// Members may be called from any thread, and any number of requests may be under way at once. Requests that overlap are carried out in an
/// order that is not known; a caller who wants one waits in between.
/// </para>
/// <para>
/// A write that has ended is seen by every later read. It is durable, that is, survives the end of the process and of the host, once a
/// flush that began after it has ended.
/// </para>
/// <para>
/// A call may do its work before it returns. Cancellation is looked at before a request begins; one that has begun is carried out.
/// </para>
/// <para>
/// Disposal flushes where there is something to flush, and may be done twice. A request that begins after it fails with a
/// <see cref="BlockIOException"/> of <see cref="BlockError.Gone"/>, whatever the device; one that is under way succeeds or fails so. A flush
/// that succeeds has made durable what it had to, then as ever.
/// </para>
/// </remarks>
public interface IBlockDevice : IAsyncDisposable
{
    /// <summary>Bytes; a multiple of <see cref="BlockLimits.LogicalBlockSize"/>.</summary>
    long Length { get; }

    /// <summary>Whether writes are refused.</summary>
    bool IsReadOnly { get; }

    /// <summary>How requests have to be aligned, and how they best are.</summary>
    BlockLimits Limits { get; }

    /// <summary>Reads.</summary>
    /// <param name="offset">The first byte; a multiple of <see cref="BlockLimits.LogicalBlockSize"/>.</param>
    /// <param name="buffers">Filled; what is in them after an error is not known. As many bytes as are read, a multiple of the block size.</param>
    /// <param name="cancellationToken">Looked at before the request begins.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range is not aligned, or not within <see cref="Length"/>.</exception>
    /// <exception cref="IOException">It could not be read. <see cref="BlockIOException"/> says more.</exception>
    ValueTask ReadAsync(long offset, BlockBuffers buffers, CancellationToken cancellationToken = default);

    /// <summary>Writes.</summary>
    /// <param name="offset">The first byte; a multiple of <see cref="BlockLimits.LogicalBlockSize"/>.</param>
    /// <param name="buffers">What is written, a multiple of the block size. The device does not change it.</param>
    /// <param name="cancellationToken">Looked at before the request begins.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range is not aligned, or not within <see cref="Length"/>.</exception>
    /// <exception cref="IOException">
    /// It could not be written, or not all of it: what the range has is not known. <see cref="BlockIOException"/> says more.
    /// </exception>
    ValueTask WriteAsync(long offset, BlockBuffers buffers, CancellationToken cancellationToken = default);

    /// <summary>A capability, if the device has it. One that is around another device has what that has and it can pass on.</summary>
    /// <typeparam name="T">The interface.</typeparam>
    T? GetCapability<T>()
        where T : class => this as T;
}

/// <summary>How requests to a block device have to be, and are best, aligned. All in bytes.</summary>
/// <param name="LogicalBlockSize">Offsets and lengths are multiples of it: a power of two from 512 to 65536.</param>
/// <param name="PhysicalBlockSize">What is written at once without reading before; a power of two, at least the logical block size.</param>
/// <param name="DiscardGranularity">What a discard has to cover to be of use; a multiple of the logical block size.</param>
public readonly record struct BlockLimits(int LogicalBlockSize, int PhysicalBlockSize, int DiscardGranularity)
{
    /// <summary>512 bytes, the size of a sector in all of our formats' headers.</summary>
    public const int SectorSize = 512;

    /// <summary>Sectors of 512 bytes on blocks of 4096.</summary>
    public static BlockLimits Default { get; } = new(SectorSize, 4096, 4096);
}

/// <summary>A block device that keeps what was written in a volatile place until it is flushed.</summary>
public interface IFlushable
{
    /// <summary>Makes every write durable that had ended before the call.</summary>
    /// <param name="cancellationToken">Looked at before the request begins.</param>
    /// <exception cref="IOException">Some may be lost. Every later flush of the device fails too: none may acknowledge what is lost.</exception>
    ValueTask FlushAsync(CancellationToken cancellationToken = default);
}

/// <summary>
/// A block device that says which of its calls never wait for the storage: they do at once what takes no wait, and leave the rest to other
/// threads. Such calls may be made by a thread that others wait for, as a machine's is.
/// </summary>
public interface INonBlocking
{
    /// <summary>Whether <see cref="IBlockDevice.ReadAsync"/> of a range returns without waiting. Does not wait itself.</summary>
    /// <param name="offset">The first byte, aligned as for a read and within the device.</param>
    /// <param name="length">Bytes, likewise.</param>
    bool ReadNeverWaits(long offset, int length);

    /// <summary>Whether <see cref="IBlockDevice.WriteAsync"/> does, in the same way.</summary>
    /// <param name="offset">The first byte, aligned as for a write and within the device.</param>
    /// <param name="length">Bytes, likewise.</param>
    bool WriteNeverWaits(long offset, int length);
}

/// <summary>A block device that takes note of what is not needed any more.</summary>
public interface IDiscardable
{
    /// <summary>Gives up the contents of a range, and with it room on the host where that is possible. What is read afterwards is not known.</summary>
    /// <param name="offset">The first byte, aligned as for a write.</param>
    /// <param name="length">Bytes, aligned likewise.</param>
    /// <param name="cancellationToken">Looked at before the request begins.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range is not aligned, or not within the device.</exception>
    /// <exception cref="IOException">It could not be done.</exception>
    ValueTask DiscardAsync(long offset, long length, CancellationToken cancellationToken = default);
}

/// <summary>A block device that can zero a range without being sent the zeroes.</summary>
public interface IZeroable
{
    /// <summary>Zeroes a range.</summary>
    /// <param name="offset">The first byte, aligned as for a write.</param>
    /// <param name="length">Bytes, aligned likewise.</param>
    /// <param name="mayDiscard">Whether the range may be without room on the host afterwards, so that a later write to it can fail for lack of it.</param>
    /// <param name="cancellationToken">Looked at before the request begins.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range is not aligned, or not within the device.</exception>
    /// <exception cref="IOException">It could not be done.</exception>
    ValueTask WriteZeroesAsync(long offset, long length, bool mayDiscard, CancellationToken cancellationToken = default);
}

/// <summary>A block device whose size can change while it is used.</summary>
public interface IResizable
{
    /// <summary>Sets the size. What is new reads as zeroes; what is cut off is lost.</summary>
    /// <param name="length">Bytes, aligned as for a write.</param>
    /// <param name="cancellationToken">Looked at before the request begins.</param>
    /// <exception cref="ArgumentOutOfRangeException">The size is not aligned, negative, or more than the format can have.</exception>
    /// <exception cref="IOException">It could not be done.</exception>
    ValueTask ResizeAsync(long length, CancellationToken cancellationToken = default);

    /// <summary>Raised behind each change of size, on the thread that made it.</summary>
    event EventHandler? Resized;
}
