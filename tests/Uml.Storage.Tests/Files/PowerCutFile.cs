using Uml.Storage.Blocks;
using Uml.Storage.Files;

namespace Uml.Storage.Tests.Files;

/// <summary>
/// A file in memory that knows which writes were not flushed: it can say what the storage may have after a power cut, and fail. Not for several
/// threads at once, except that the calls themselves are serialised.
/// </summary>
internal sealed class PowerCutFile(byte[] contents, string path = "/tmp/power-cut.qcow2") : IImageFile
{
    private const int SectorSize = 512, MaximumLength = 64 << 20;

    private readonly Lock _lock = new();
    private readonly List<(long Offset, byte[] Data)> _unflushed = [];
    private byte[] _durable = [.. contents];
    private byte[] _now = [.. contents];
    private int _length = contents.Length;
    private bool _flushFailed;

    /// <summary>Called before each operation that changes something; what it throws is the operation's error.</summary>
    public Action<HostFileOperation>? Before { get; set; }

    public string Path => path;

    public bool IsReadOnly { get; init; }

    public bool WritesNeverWait => false;

    /// <summary>What the file has, for who reads it now.</summary>
    public byte[] Contents => _now[.._length];

    public long GetLength() => _length;

    public void SetLength(long length)
    {
        lock (_lock)
        {
            Grow((int)length);
            _length = (int)length;
        }
    }

    /// <summary>What a power cut may leave now: any of the writes that were not flushed, each of their sectors by itself, in this order.</summary>
    public byte[] Cut(Random random)
    {
        lock (_lock)
        {
            byte[] left = new byte[_now.Length];
            _durable.CopyTo(left, 0);
            int mode = random.Next(4);
            foreach ((long offset, byte[] data) in _unflushed)
            {
                bool isWhole = random.Next(2) == 0;
                bool isThere = random.Next(2) == 0;
                for (int i = 0; i < data.Length;)
                {
                    int length = (int)Math.Min(data.Length - i, SectorSize - ((offset + i) % SectorSize));
                    if (mode == 0 || (mode != 1 && (isWhole ? isThere : random.Next(2) == 0)))
                    {
                        data.AsSpan(i, length).CopyTo(left.AsSpan((int)offset + i));
                    }

                    i += length;
                }
            }

            return left[.._length];
        }
    }

    public ValueTask ReadAsync(long offset, BlockBuffers buffers) => Do(HostFileOperation.Read, offset, buffers, 0);

    public ValueTask WriteAsync(long offset, BlockBuffers buffers) => Do(HostFileOperation.Write, offset, buffers, 0);

    public ValueTask FlushAsync() => Do(HostFileOperation.Flush, 0, default, 0);

    public ValueTask ZeroAsync(long offset, long length, bool mayDiscard) =>
        length == 0 ? ValueTask.CompletedTask : Do(mayDiscard ? HostFileOperation.PunchHole : HostFileOperation.Zero, offset, default, length);

    public void Run(HostFileOperation operation, long offset, BlockBuffers buffers, long length)
    {
        if (operation != HostFileOperation.Read)
        {
            try
            {
                Before?.Invoke(operation);
            }
            catch (BlockIOException) when (operation == HostFileOperation.Flush)
            {
                _flushFailed = true;
                throw;
            }
        }

        lock (_lock)
        {
            switch (operation)
            {
                case HostFileOperation.Read: Read(offset, buffers); break;
                case HostFileOperation.Flush: Flush(); break;
                case HostFileOperation.Write: Write(offset, buffers); break;
                default: Zero(offset, length); break;
            }
        }
    }

    public void Dispose()
    {
    }

    private ValueTask Do(HostFileOperation operation, long offset, BlockBuffers buffers, long length)
    {
        try
        {
            Run(operation, offset, buffers, length);
            return ValueTask.CompletedTask;
        }
        catch (BlockIOException e)
        {
            return ValueTask.FromException(e);
        }
    }

    private void Read(long offset, BlockBuffers buffers)
    {
        if (offset + buffers.Length > _length)
        {
            throw new BlockIOException($"A read of {buffers.Length} bytes at {offset} ran over the end, which is at {_length}.");
        }

        buffers.CopyFrom(_now.AsSpan((int)offset, buffers.Length));
    }

    private void Zero(long offset, long length)
    {
        CheckEnd(offset + length);
        Write(offset, new byte[length]);
    }

    private void Write(long offset, BlockBuffers buffers)
    {
        CheckEnd(offset + buffers.Length);
        byte[] data = new byte[buffers.Length];
        buffers.CopyTo(data);
        int end = (int)offset + data.Length;
        Grow(end);
        _length = Math.Max(_length, end);
        data.CopyTo(_now, offset);
        _unflushed.Add((offset, data));
    }

    private static void CheckEnd(long end)
    {
        if (end > MaximumLength)
        {
            throw new BlockIOException($"A file cannot have {end} bytes.", BlockError.NoSpace);
        }
    }

    private void Grow(int length)
    {
        if (length > _now.Length)
        {
            Array.Resize(ref _now, Math.Max(length, _now.Length * 3 / 2));
        }
    }

    private void Flush()
    {
        if (_flushFailed)
        {
            throw new BlockIOException("An earlier flush has failed.");
        }

        _durable = _now[.._length];
        _unflushed.Clear();
    }
}
