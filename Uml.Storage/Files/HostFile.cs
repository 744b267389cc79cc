using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Uml.Storage.Blocks;
using Uml.Storage.Interop;

namespace Uml.Storage.Files;

/// <summary>
/// A file of the host, or a block device, read and written in pieces at an offset. What the host can do without waiting for the storage is
/// done before the call returns; the rest on the thread pool. Neither allocates once it has been done a few times.
/// </summary>
internal sealed class HostFile : IImageFile
{
    /// <summary>Requests that wait for the storage at once: what keeps an SSD busy. A limit of ours; others wait for their turn.</summary>
    private const int MaximumParallel = 16;

    /// <summary>rw-r--r-- (0644), of which the process's mask may take some away.</summary>
    private const int NewFileMode = 0x1A4;

    private readonly HostFileHandle _handle;
    private readonly ConcurrentQueue<HostFileRequest> _free = new();
    private readonly Lock _lock = new();
    private readonly Queue<HostFileRequest> _waiting = new();
    private readonly bool _isDirect, _isInMemory, _writesElsewhere;
    private int _running;
    private volatile int _flushError;
    private bool _knowsNoWait = true;

    private HostFile(string path, HostFileHandle handle, in Statx status, HostFileMode mode)
    {
        (Path, _handle, IsReadOnly, _isDirect) = (path, handle, mode.IsReadOnly, mode.IsDirect);
        Status = status;
        _isInMemory = Statfs.IsInMemory(Descriptor);
        _writesElsewhere = mode.IsDirect || mode.IsSynchronous;
    }

    /// <summary>Where it is, as it was opened.</summary>
    public string Path { get; }

    public bool IsReadOnly { get; }

    public bool IsBlockDevice => Status.IsBlockDevice;

    /// <summary>As it was when the file was opened.</summary>
    public Statx Status { get; }

    /// <summary>Whether a write is done without waiting for the storage: the file is in memory, or its writes are made by other threads.</summary>
    public bool WritesNeverWait => _isInMemory || _writesElsewhere;

    /// <summary>Valid until the file is disposed; for calls that take a moment, made by the owner.</summary>
    public int Descriptor => (int)_handle.DangerousGetHandle();

    /// <summary>Opens a file.</summary>
    /// <exception cref="DiskImageException">It is not there, or may not be opened so.</exception>
    public static HostFile Open(string path, HostFileMode mode)
    {
        // A pipe, which an image may name as the one below it, is not to be waited for. Files and block devices do not care.
        int flags = Fcntl.CloseOnExec | Fcntl.NonBlocking | (mode.IsReadOnly ? Fcntl.ReadOnly : Fcntl.ReadWrite) | (mode.IsDirect ? Fcntl.Direct : 0)
            | (mode.IsSynchronous ? Fcntl.DataSync : 0) | (mode.IsNew ? Fcntl.Create | Fcntl.Exclusive : 0);
        int descriptor = Fcntl.Open(path, flags, NewFileMode);
        if (descriptor < 0)
        {
            throw HostFileError.OnOpen(path, mode, Marshal.GetLastPInvokeError());
        }

        HostFileHandle handle = new(descriptor);
        if (!Statx.TryGet(descriptor, out Statx status) || !(status.IsRegular || status.IsBlockDevice))
        {
            handle.Dispose();
            throw new DiskImageException($"'{path}' is neither a file nor a block device: name the image itself.");
        }

        return new HostFile(path, handle, in status, mode);
    }

    /// <summary>Bytes that the file has now.</summary>
    /// <exception cref="BlockIOException">The host does not say.</exception>
    public long GetLength()
    {
        // A block device has no length of its own, but an end.
        long length = Unistd.Seek(Descriptor, 0, Unistd.SeekEnd);
        return length >= 0 ? length : throw HostFileError.OnRequest(this, "The size", 0, 0, Marshal.GetLastPInvokeError());
    }

    /// <exception cref="BlockIOException">The host does not do it.</exception>
    public void SetLength(long length)
    {
        Keep();
        try
        {
            if (Unistd.Truncate(Descriptor, length) != 0)
            {
                throw HostFileError.OnRequest(this, "A new size", length, 0, Marshal.GetLastPInvokeError());
            }
        }
        finally
        {
            _handle.DangerousRelease();
        }
    }

    /// <summary>Reads; what lies behind the end of the file is an error.</summary>
    public ValueTask ReadAsync(long offset, BlockBuffers buffers)
    {
        if (buffers.IsEmpty)
        {
            return ValueTask.CompletedTask;
        }

        int done = _isDirect ? 0 : TryReadAtOnce(offset, buffers);
        return done == buffers.Length ? ValueTask.CompletedTask
            : Start(HostFileOperation.Read, offset + done, buffers.Slice(done, buffers.Length - done), 0);
    }

    /// <summary>
    /// Writes. To the host's page cache before it returns: the host holds up a writer that is far ahead of the storage, and that is meant
    /// for whoever makes the requests.
    /// </summary>
    public ValueTask WriteAsync(long offset, BlockBuffers buffers)
    {
        if (buffers.IsEmpty)
        {
            return ValueTask.CompletedTask;
        }

        if (_writesElsewhere)
        {
            return Start(HostFileOperation.Write, offset, buffers, 0);
        }

        try
        {
            Run(HostFileOperation.Write, offset, buffers, 0);
            return ValueTask.CompletedTask;
        }
        catch (BlockIOException failure)
        {
            return ValueTask.FromException(failure);
        }
    }

    /// <summary>Makes what was written durable.</summary>
    public ValueTask FlushAsync() => Start(HostFileOperation.Flush, 0, default, 0);

    /// <summary>Zeroes a range, and gives its room back if <paramref name="mayDiscard"/>.</summary>
    public ValueTask ZeroAsync(long offset, long length, bool mayDiscard) =>
        length == 0 ? ValueTask.CompletedTask : Start(mayDiscard ? HostFileOperation.PunchHole : HostFileOperation.Zero, offset, default, length);

    public void Dispose() => _handle.Dispose();

    /// <summary>Does a request to its end, on the calling thread, and waits for the storage if need be.</summary>
    /// <exception cref="BlockIOException">The host does not do it.</exception>
    public void Run(HostFileOperation operation, long offset, BlockBuffers buffers, long length)
    {
        Keep();
        try
        {
            switch (operation)
            {
                case HostFileOperation.Read: Transfer(offset, buffers, isWrite: false); break;
                case HostFileOperation.Write: Transfer(offset, buffers, isWrite: true); break;
                case HostFileOperation.Flush: Flush(); break;
                default: HostFileZeroes.Write(this, offset, length, mayDiscard: operation == HostFileOperation.PunchHole); break;
            }
        }
        finally
        {
            _handle.DangerousRelease();
        }
    }

    /// <summary>Takes a request back that is done, and begins one that waits.</summary>
    internal void Complete(HostFileRequest request)
    {
        HostFileRequest? next;
        lock (_lock)
        {
            if (!_waiting.TryDequeue(out next))
            {
                _running--;
            }
        }

        next?.Queue();
    }

    /// <summary>Keeps a request for another use, once its result was taken.</summary>
    internal void Return(HostFileRequest request) => _free.Enqueue(request);

    /// <summary>Keeps the descriptor open until the handle is released, whoever disposes the file meanwhile: else it could be another file's by then.</summary>
    /// <exception cref="BlockIOException">The file is closed.</exception>
    private void Keep()
    {
        bool isKept = false;
        try
        {
            _handle.DangerousAddRef(ref isKept);
        }
        catch (ObjectDisposedException)
        {
            throw OpenState.Closed($"'{Path}'");
        }
    }

    private ValueTask Start(HostFileOperation operation, long offset, BlockBuffers buffers, long length)
    {
        if (!_free.TryDequeue(out HostFileRequest? request))
        {
            request = new HostFileRequest(this);
        }

        request.Set(operation, offset, buffers, length);
        ValueTask task = request.Task;
        lock (_lock)
        {
            if (_running == MaximumParallel)
            {
                _waiting.Enqueue(request);
                return task;
            }

            _running++;
        }

        request.Queue();
        return task;
    }

    /// <summary>Reads what the host has in memory.</summary>
    /// <returns>Bytes that were read, from the first on.</returns>
    private int TryReadAtOnce(long offset, BlockBuffers buffers)
    {
        // The descriptor of a closed file may be another file's by now. The full request reports it.
        if (_handle.IsClosed || (!_isInMemory && !_knowsNoWait))
        {
            return 0;
        }

        // SAFETY: the caller of a request keeps the file open until it has returned.
        nint got = HostFileVectors.Transfer(Descriptor, offset, buffers, isWrite: false, _isInMemory ? 0 : Uio.NoWait, out int error);
        if (got >= 0)
        {
            return (int)got;
        }

        // Anything else than EAGAIN is for the full request to find, which reports it.
        _knowsNoWait &= !Errno.IsUnsupported(error);
        return 0;
    }

    private void Transfer(long offset, BlockBuffers buffers, bool isWrite)
    {
        if (_isDirect && !AlignedBuffer.IsAligned(buffers))
        {
            using AlignedBuffer aligned = new(buffers.Length);
            if (isWrite)
            {
                buffers.CopyTo(aligned.Memory.Span);
            }

            Transfer(offset, aligned.Memory, isWrite);
            if (!isWrite)
            {
                buffers.CopyFrom(aligned.Memory.Span);
            }

            return;
        }

        for (int done = 0; done < buffers.Length;)
        {
            nint got = HostFileVectors.Transfer(Descriptor, offset + done, buffers.Slice(done, buffers.Length - done), isWrite, 0, out int error);
            if (got < 0)
            {
                throw HostFileError.OnRequest(this, isWrite ? "A write of" : "A read of", offset, buffers.Length, error);
            }

            if (got == 0)
            {
                throw HostFileError.OnEnd(this, offset, buffers.Length, offset + done);
            }

            done += (int)got;
        }
    }

    /// <summary>
    /// The host takes pages for written once it has reported that they could not be: a flush that succeeds after one that failed would
    /// acknowledge data that is lost. So none does.
    /// </summary>
    private void Flush()
    {
        while (_flushError == 0 && Unistd.SyncData(Descriptor) != 0)
        {
            int error = Marshal.GetLastPInvokeError();
            _flushError = error == Errno.Interrupted ? 0 : error;
        }

        if (_flushError != 0)
        {
            throw HostFileError.OnFlush(this, _flushError);
        }
    }
}

/// <summary>How a file is opened.</summary>
/// <param name="IsReadOnly">To be read only.</param>
/// <param name="IsDirect">Past the host's page cache (O_DIRECT): buffers and offsets have to be aligned.</param>
/// <param name="IsSynchronous">Every write is durable when it has ended (O_DSYNC).</param>
/// <param name="IsNew">The file is made, and must not be there yet.</param>
internal readonly record struct HostFileMode(bool IsReadOnly = false, bool IsDirect = false, bool IsSynchronous = false, bool IsNew = false);

/// <summary>What is done with a file.</summary>
internal enum HostFileOperation
{
    Read,
    Write,
    Flush,
    PunchHole,
    Zero,
}
