using System.Buffers;
using System.Runtime.CompilerServices;

namespace Uml.Storage.Formats.Qcow2;

/// <summary>Copies of parts of tables on their way to the file; used again and again.</summary>
internal sealed class Qcow2WriteBatch
{
    private readonly List<(long Offset, int Start, int Length)> _parts = [];
    private byte[] _data = [];
    private int _used;

    public bool IsEmpty => _parts.Count == 0;

    public void Add(long offset, ReadOnlySpan<byte> bytes) => bytes.CopyTo(Reserve(offset, bytes.Length));

    /// <summary>Adds a part that the caller fills.</summary>
    public Span<byte> Reserve(long offset, int length)
    {
        if (_data.Length - _used < length)
        {
            byte[] larger = ArrayPool<byte>.Shared.Rent(Math.Max(checked(_used + length), 2 * _data.Length));
            _data.AsSpan(0, _used).CopyTo(larger);
            GiveBack();
            _data = larger;
        }

        if (_parts.Count != 0 && _parts[^1] is var last && last.Offset + last.Length == offset)
        {
            _parts[^1] = (last.Offset, last.Start, last.Length + length);
        }
        else
        {
            _parts.Add((offset, _used, length));
        }

        _used += length;
        return _data.AsSpan(_used - length, length);
    }

    /// <exception cref="Blocks.BlockIOException">Not all could be written.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask WriteAsync(Qcow2File file)
    {
        for (int i = 0; i < _parts.Count; i++)
        {
            (long offset, int start, int length) = _parts[i];
            await file.WriteAsync(offset, _data.AsMemory(start, length)).ConfigureAwait(false);
        }
    }

    public void Clear()
    {
        _parts.Clear();
        _used = 0;
        GiveBack();
        _data = [];
    }

    private void GiveBack()
    {
        if (_data.Length != 0)
        {
            ArrayPool<byte>.Shared.Return(_data);
        }
    }
}
