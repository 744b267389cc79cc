using System.ComponentModel;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Uml.Core.Interop;

/// <summary>
/// A file of the host that is read once from its start, and whose reader never waits beyond a cancellation: opening and reading a
/// FIFO, a terminal or another device may otherwise take forever (open(2), poll(2)).
/// </summary>
internal sealed unsafe partial class HostFileStream : Stream
{
    private const int ReadOnly = 0, NoControllingTerminal = 0x100, NonBlocking = 0x800, CloseOnExec = 0x80000;
    private const int NoEntry = 2, Interrupted = 4, TryAgain = 11, AccessDenied = 13, NotADirectory = 20, NotPermitted = 1;
    private const short PollIn = 1;

    // The interval at which a wait checks for cancellation; ours.
    private const int PollMilliseconds = 50;

    private readonly SafeFileHandle _handle;
    private readonly CancellationToken _cancellationToken;
    private long _position;

    private HostFileStream(SafeFileHandle handle, CancellationToken cancellationToken)
    {
        _handle = handle;
        _cancellationToken = cancellationToken;
    }

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    /// <summary>The file's size; 0 for pipes and devices.</summary>
    public override long Length
    {
        get
        {
            try
            {
                return RandomAccess.GetLength(_handle);
            }
            catch (NotSupportedException)
            {
                return 0;
            }
        }
    }

    public override long Position
    {
        get => _position;
        set => throw new NotSupportedException();
    }

    /// <summary>Opens a file for reading.</summary>
    /// <param name="path">The file.</param>
    /// <param name="cancellationToken">Ends waits for its bytes.</param>
    /// <exception cref="IOException">It does not exist or cannot be opened.</exception>
    /// <exception cref="UnauthorizedAccessException">This user may not read it.</exception>
    public static Stream Open(string path, CancellationToken cancellationToken)
    {
        if (!OperatingSystem.IsLinux())
        {
            return new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0);
        }

        int descriptor = Open(path, ReadOnly | NoControllingTerminal | NonBlocking | CloseOnExec);
        return descriptor >= 0
            ? new HostFileStream(new SafeFileHandle(descriptor, ownsHandle: true), cancellationToken)
            : throw Error(Marshal.GetLastPInvokeError(), path);
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override int Read(Span<byte> buffer)
    {
        while (!buffer.IsEmpty)
        {
            _cancellationToken.ThrowIfCancellationRequested();
            nint count;

            // SAFETY: the buffer is pinned for the call, and the handle is open: it is this stream's own.
            fixed (byte* pointer = buffer)
            {
                count = WaitForInput() ? Read((int)_handle.DangerousGetHandle(), pointer, (nuint)buffer.Length) : -1;
            }

            if (count >= 0)
            {
                _position += count;
                return (int)count;
            }

            int error = Marshal.GetLastPInvokeError();
            if (error is not (TryAgain or Interrupted))
            {
                throw new IOException(new Win32Exception(error).Message);
            }
        }

        return 0;
    }

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _handle.Dispose();
        }

        base.Dispose(disposing);
    }

    // Without this wait, reading a FIFO that no writer has opened yet returns end of file; poll(2) distinguishes the two (pipe(7)).
    private bool WaitForInput()
    {
        PollDescriptor descriptor = new() { Descriptor = (int)_handle.DangerousGetHandle(), Events = PollIn };
        while (true)
        {
            _cancellationToken.ThrowIfCancellationRequested();

            // SAFETY: one element on the stack.
            int ready = Poll(&descriptor, 1, PollMilliseconds);
            if (ready != 0)
            {
                return ready > 0;
            }
        }
    }

    private static Exception Error(int error, string path)
    {
        string message = new Win32Exception(error).Message;
        return error switch
        {
            NoEntry or NotADirectory => new FileNotFoundException(message, path),
            AccessDenied or NotPermitted => new UnauthorizedAccessException(message),
            _ => new IOException(message),
        };
    }

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    private static partial nint Read(int descriptor, byte* buffer, nuint count);

    [LibraryImport("libc", EntryPoint = "poll", SetLastError = true)]
    private static partial int Poll(PollDescriptor* descriptors, nuint count, int timeoutMilliseconds);

    [StructLayout(LayoutKind.Sequential)]
    private struct PollDescriptor
    {
        public int Descriptor;
        public short Events;
        public short Returned;
    }
}
