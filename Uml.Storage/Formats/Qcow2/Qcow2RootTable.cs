using System.Buffers.Binary;
using System.Numerics;
using Uml.Storage.Blocks;

namespace Uml.Storage.Formats.Qcow2;

/// <summary>The L1 table or the refcount table: all of it in memory. Members need the image's lock, except the indexer's reading.</summary>
internal sealed class Qcow2RootTable
{
    private const int EntriesPerSector = BlockLimits.SectorSize / 8;

    private ulong[] _entries;

    /// <summary>A bit for each sector that differs from the file.</summary>
    private ulong[] _dirty, _writing;
    private bool _isDirty;
    private long _collectedOffset;

    private Qcow2RootTable(ulong[] entries, long offset)
    {
        (_entries, Offset) = (entries, offset);
        (_dirty, _writing) = (NewBitmap(entries.Length), NewBitmap(entries.Length));
    }

    /// <summary>Where it is in the file.</summary>
    public long Offset { get; private set; }

    public int Count => _entries.Length;

    public bool HasChanges => _isDirty;

    /// <summary>Whether it has another place or size than the header says.</summary>
    public bool IsMoved { get; private set; }

    public ulong this[int i]
    {
        get => Volatile.Read(ref Volatile.Read(ref _entries)[i]);
        set
        {
            Volatile.Write(ref _entries[i], value);
            int sector = i / EntriesPerSector;
            _dirty[sector / 64] |= 1UL << (sector % 64);
            _isDirty = true;
        }
    }

    /// <exception cref="BlockIOException">It could not be read.</exception>
    public static Qcow2RootTable Read(Qcow2File file, long offset, int count)
    {
        byte[] bytes = new byte[count * 8];
        file.Read(offset, bytes);
        ulong[] entries = new ulong[count];
        for (int i = 0; i < count; i++)
        {
            entries[i] = BinaryPrimitives.ReadUInt64BigEndian(bytes.AsSpan(i * 8));
        }

        return new Qcow2RootTable(entries, offset);
    }

    /// <summary>Has it at another place, larger. The header is to follow.</summary>
    public void Move(long offset, int count)
    {
        ulong[] larger = new ulong[count];
        _entries.CopyTo(larger, 0);
        Volatile.Write(ref _entries, larger);
        (_dirty, _writing) = (NewBitmap(count), NewBitmap(count));
        Array.Fill(_dirty, ulong.MaxValue);
        Offset = offset;
        IsMoved = _isDirty = true;
    }

    public void Collect(Qcow2WriteBatch batch)
    {
        for (int i = 0; i < _dirty.Length; i++)
        {
            for (ulong left = _dirty[i]; left != 0; left &= left - 1)
            {
                AddSector(batch, (i * 64) + BitOperations.TrailingZeroCount(left));
            }
        }

        (_dirty, _writing) = (_writing, _dirty);
        _isDirty = false;
        _collectedOffset = Offset;
    }

    /// <summary>What was collected is in the file, and in the header if it was moved; or has to be collected again.</summary>
    public void EndWriting(bool succeeded)
    {
        for (int i = 0; i < _writing.Length; i++)
        {
            _isDirty |= !succeeded && _writing[i] != 0;
            _dirty[i] |= succeeded ? 0 : _writing[i];
            _writing[i] = 0;
        }

        // It may have been moved again meanwhile.
        IsMoved &= !(succeeded && Offset == _collectedOffset);
    }

    private static ulong[] NewBitmap(int entries) => new ulong[(entries / EntriesPerSector / 64) + 1];

    private void AddSector(Qcow2WriteBatch batch, int sector)
    {
        int first = sector * EntriesPerSector;
        int count = Math.Min(EntriesPerSector, _entries.Length - first);
        if (count <= 0)
        {
            return;
        }

        Span<byte> bytes = batch.Reserve(Offset + (first * 8L), count * 8);
        for (int i = 0; i < count; i++)
        {
            BinaryPrimitives.WriteUInt64BigEndian(bytes[(i * 8)..], _entries[first + i]);
        }
    }
}
