using System.Runtime.CompilerServices;
using Uml.Storage.Blocks;
using Uml.Storage.Files;

namespace Uml.Storage.Formats.Qcow2;

/// <summary>The file of an image, behind whose end there are zeroes: a cluster that was not written to its end need not be in the file.</summary>
internal sealed class Qcow2File(IImageFile file)
{
    private readonly IImageFile _file = file;
    private long _end = file.GetLength();

    public string Path => _file.Path;

    /// <summary>Where the file ends.</summary>
    public long End => Volatile.Read(ref _end);

    public ValueTask ReadAsync(long offset, BlockBuffers buffers)
    {
        long inFile = End - offset;
        if (inFile < buffers.Length)
        {
            int length = (int)Math.Max(inFile, 0);
            buffers.Slice(length, buffers.Length - length).Clear();
            buffers = buffers.Slice(0, length);
        }

        return _file.ReadAsync(offset, buffers);
    }

    public ValueTask WriteAsync(long offset, BlockBuffers buffers)
    {
        ValueTask write = _file.WriteAsync(offset, buffers);
        return offset + buffers.Length <= End ? write : EndWriteAsync(write, offset + buffers.Length);
    }

    public ValueTask FlushAsync() => _file.FlushAsync();

    /// <summary>Zeroes a range as far as the file has it.</summary>
    public ValueTask ZeroAsync(long offset, long length, bool mayDiscard) =>
        _file.ZeroAsync(offset, Math.Clamp(End - offset, 0, length), mayDiscard);

    /// <summary>Reads on the calling thread.</summary>
    /// <exception cref="BlockIOException">It could not be read.</exception>
    public void Read(long offset, Memory<byte> buffer)
    {
        int length = (int)Math.Clamp(End - offset, 0, buffer.Length);
        buffer.Span[length..].Clear();
        if (length != 0)
        {
            _file.Run(HostFileOperation.Read, offset, buffer[..length], 0);
        }
    }

    private ValueTask EndWriteAsync(ValueTask write, long end)
    {
        if (!write.IsCompletedSuccessfully)
        {
            return WaitAsync(write, end);
        }

        write.GetAwaiter().GetResult();
        Extend(end);
        return ValueTask.CompletedTask;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask WaitAsync(ValueTask write, long end)
    {
        await write.ConfigureAwait(false);
        Extend(end);
    }

    private void Extend(long end)
    {
        for (long now = End; now < end; now = End)
        {
            Interlocked.CompareExchange(ref _end, end, now);
        }
    }
}
