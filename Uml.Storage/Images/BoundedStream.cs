namespace Uml.Storage.Images;

/// <summary>A read-only window of a stream, or a limit on what a decompressor may deliver.</summary>
/// <param name="inner">The stream; disposed with the window unless it is to be left open.</param>
/// <param name="length">The bytes that may be read.</param>
/// <param name="onExceeded">Makes the error for a stream that has more; null when the window just ends there.</param>
/// <param name="leaveOpen">Whether the inner stream outlives the window.</param>
/// <param name="cancellationToken">Ends the reading.</param>
internal sealed class BoundedStream(
    Stream inner, long length, Func<Exception>? onExceeded, bool leaveOpen, CancellationToken cancellationToken = default) : ForwardStream
{
    private long _read;

    /// <summary>The bytes read so far; XZ decoders align by it.</summary>
    public override long Position
    {
        get => _read;
        set => throw new NotSupportedException();
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override int ReadByte()
    {
        Span<byte> one = stackalloc byte[1];
        return Read(one) == 0 ? -1 : one[0];
    }

    public override int Read(Span<byte> buffer)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (_read == length && !buffer.IsEmpty)
        {
            return onExceeded is null || inner.ReadByte() < 0 ? 0 : throw onExceeded();
        }

        int read = inner.Read(buffer[..(int)Math.Min(buffer.Length, length - _read)]);
        _read += read;
        return read;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing && !leaveOpen)
        {
            inner.Dispose();
        }

        base.Dispose(disposing);
    }
}
