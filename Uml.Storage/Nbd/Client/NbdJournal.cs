using Uml.Storage.Blocks;
using Uml.Storage.Nbd.Protocol;

namespace Uml.Storage.Nbd.Client;

/// <summary>
/// Writes that the server has acknowledged and that no flush covers yet, in the order of their acknowledgements: a server that crashes may lose
/// them, and then they are written again. Room is reserved before a write is sent, so that its acknowledgement always finds some. Used under the
/// client's lock.
/// </summary>
internal sealed class NbdJournal(int capacity)
{
    /// <summary>What an entry counts besides its data, so that there are not too many without any.</summary>
    private const int Overhead = 64;

    private readonly byte[] _data = GC.AllocateUninitializedArray<byte>(capacity);
    private readonly Memory<byte>[] _pieces = new Memory<byte>[2];
    private readonly Queue<Entry> _entries = new();
    private int _end;
    private long _reserved;

    /// <summary>Writes that were ever added.</summary>
    public long Added { get; private set; }

    public bool IsEmpty => _entries.Count == 0;

    public bool IsHalfFull => _reserved > capacity / 2;

    /// <summary>The most data that one write may have.</summary>
    public int MaximumWrite => capacity / 4;

    public bool TryReserve(int dataLength)
    {
        if (_reserved + dataLength + Overhead > capacity)
        {
            return false;
        }

        _reserved += dataLength + Overhead;
        return true;
    }

    /// <summary>Gives room back that was reserved and is not needed.</summary>
    public void Release(int dataLength) => _reserved -= dataLength + Overhead;

    /// <summary>Adds a write for which there is room.</summary>
    /// <param name="offset">Where.</param>
    /// <param name="length">Bytes that it changes.</param>
    /// <param name="data">What it wrote; empty when these are zeroes.</param>
    /// <param name="flags">Of the request.</param>
    public void Add(long offset, uint length, BlockBuffers data, NbdCommandFlags flags)
    {
        int first = Math.Min(data.Length, capacity - _end);
        data.Slice(0, first).CopyTo(_data.AsSpan(_end));
        data.Slice(first, data.Length - first).CopyTo(_data);
        _entries.Enqueue(new Entry(offset, length, _end, data.Length, flags));
        _end = (_end + data.Length) % capacity;
        Added++;
    }

    /// <summary>Drops what a flush has covered.</summary>
    /// <param name="covered">Writes that had been added when it began.</param>
    public void Drop(long covered)
    {
        while (Added - _entries.Count < covered)
        {
            Release(_entries.Dequeue().DataLength);
        }
    }

    /// <summary>All, the oldest first.</summary>
    public Entry[] ToArray() => [.. _entries];

    /// <summary>The data of an entry; valid until the next call.</summary>
    public BlockBuffers DataOf(in Entry entry)
    {
        int first = Math.Min(entry.DataLength, capacity - entry.Start);
        _pieces[0] = _data.AsMemory(entry.Start, first);
        _pieces[1] = _data.AsMemory(0, entry.DataLength - first);
        return new BlockBuffers(_pieces);
    }

    /// <summary>A write.</summary>
    public readonly record struct Entry(long Offset, uint Length, int Start, int DataLength, NbdCommandFlags Flags);
}
