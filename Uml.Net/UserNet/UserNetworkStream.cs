using System.Net;

namespace Uml.Net.UserNet;

/// <summary>
/// A connection with a guest. One reader and one writer at a time; closing it tells the guest that nothing follows, and resets the connection where
/// the guest's data was not read.
/// </summary>
public sealed class UserNetworkStream : Stream
{
    private readonly StreamTcpFlow _flow;

    internal UserNetworkStream(StreamTcpFlow flow) => _flow = flow;

    /// <summary>The guest's address and port.</summary>
    public IPEndPoint GuestEndPoint => _flow.Guest.ToIPEndPoint();

    /// <summary>The address and port that the guest sees at this end.</summary>
    public IPEndPoint LocalEndPoint => _flow.Key.Remote.ToIPEndPoint();

    /// <inheritdoc/>
    public override bool CanRead => true;

    /// <inheritdoc/>
    public override bool CanWrite => true;

    /// <inheritdoc/>
    public override bool CanSeek => false;

    /// <inheritdoc/>
    public override long Length => throw new NotSupportedException();

    /// <inheritdoc/>
    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <summary>Says to the guest that nothing follows; what it sends can still be read.</summary>
    public void CompleteWriting() => _flow.Finish();

    /// <inheritdoc/>
    /// <exception cref="IOException">The connection was reset, or the network is closed.</exception>
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        while (true)
        {
            int read = _flow.Read(buffer.Span);
            if (read >= 0)
            {
                return read;
            }

            await _flow.Readable.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <inheritdoc/>
    /// <exception cref="IOException">The connection was reset, or the network is closed.</exception>
    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        while (!buffer.IsEmpty)
        {
            int written = _flow.Write(buffer.Span);
            buffer = buffer[written..];
            if (!buffer.IsEmpty)
            {
                await _flow.Writable.WaitAsync(cancellationToken).ConfigureAwait(false);
            }
        }
    }

    /// <inheritdoc/>
    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    /// <inheritdoc/>
    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    /// <inheritdoc/>
    public override int Read(byte[] buffer, int offset, int count) => ReadAsync(buffer.AsMemory(offset, count)).AsTask().GetAwaiter().GetResult();

    /// <inheritdoc/>
    public override void Write(byte[] buffer, int offset, int count) => WriteAsync(buffer.AsMemory(offset, count)).AsTask().GetAwaiter().GetResult();

    /// <inheritdoc/>
    public override void Flush()
    {
    }

    /// <inheritdoc/>
    public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    /// <inheritdoc/>
    public override void SetLength(long value) => throw new NotSupportedException();

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _flow.Dispose();
        }

        base.Dispose(disposing);
    }
}
