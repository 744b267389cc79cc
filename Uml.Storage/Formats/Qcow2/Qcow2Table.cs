using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Uml.Storage.Formats.Qcow2;

/// <summary>An L2 table or a refcount block in memory, as the file has it. Used for one after the other.</summary>
internal sealed class Qcow2Table(int size)
{
    /// <summary>A bit of <see cref="Dirty"/> stands for so many bytes: a sector at least.</summary>
    private readonly int _unitSize = Math.Max(512, size / 64);

    private readonly byte[] _data = new byte[size];
    private int _version;
    private int _index = -1;

    /// <summary>Which one it is: its place in the root table, or -1.</summary>
    public int Index => Volatile.Read(ref _index);

    /// <summary>Where it is in the file.</summary>
    public long Offset { get; set; }

    /// <summary>Parts that differ from the file.</summary>
    public ulong Dirty { get; private set; }

    /// <summary>Parts that are on their way to the file.</summary>
    public ulong Writing { get; private set; }

    /// <summary>Whether it was used since the cache last looked for one to give up.</summary>
    public bool IsUsed { get; set; }

    public Span<byte> Data => _data;

    public Memory<byte> Memory => _data;

    private ulong AllUnits => _data.Length / _unitSize == 64 ? ulong.MaxValue : (1UL << (_data.Length / _unitSize)) - 1;

    /// <summary>An entry of 64 bits; a single access to memory, also while another thread sets it.</summary>
    public ulong GetEntry(int i) => BinaryPrimitives.ReverseEndianness(Volatile.Read(ref MemoryMarshal.Cast<byte, ulong>(_data.AsSpan())[i]));

    /// <returns>Whether the table was clean before.</returns>
    public bool SetEntry(int i, ulong value)
    {
        Volatile.Write(ref MemoryMarshal.Cast<byte, ulong>(_data.AsSpan())[i], BinaryPrimitives.ReverseEndianness(value));
        return MarkDirty(i * 8);
    }

    /// <summary>Gets an entry without the cache's lock, if this is the table that is asked for, before and after.</summary>
    public bool TryGetEntry(int index, int i, out ulong entry)
    {
        int version = Volatile.Read(ref _version);
        bool isIt = (version & 1) == 0 && Index == index;
        entry = GetEntry(i);
        return isIt && Volatile.Read(ref _version) == version;
    }

    /// <summary>Begins to hold another table: from now on nobody takes it for the one it was.</summary>
    public void BeginChange()
    {
        Interlocked.Increment(ref _version);
        Volatile.Write(ref _index, -1);
    }

    public void EndChange(int index, long offset)
    {
        Offset = offset;
        Volatile.Write(ref _index, index);
        Interlocked.Increment(ref _version);
    }

    /// <returns>Whether the table was clean before.</returns>
    public bool MarkDirty(int at)
    {
        bool wasClean = Dirty == 0;
        Dirty |= 1UL << (at / _unitSize);
        return wasClean;
    }

    /// <returns>Whether the table was clean before.</returns>
    public bool MarkAllDirty()
    {
        bool wasClean = Dirty == 0;
        Dirty = AllUnits;
        return wasClean;
    }

    /// <summary>Copies what differs from the file.</summary>
    public void Collect(Qcow2WriteBatch batch)
    {
        for (int i = 0; i < _data.Length / _unitSize; i++)
        {
            if ((Dirty & (1UL << i)) != 0)
            {
                batch.Add(Offset + (i * _unitSize), _data.AsSpan(i * _unitSize, _unitSize));
            }
        }

        (Writing, Dirty) = (Dirty, 0);
    }

    /// <summary>What was collected is in the file, or has to be collected again.</summary>
    public void EndWriting(bool succeeded) => (Dirty, Writing) = (succeeded ? Dirty : Dirty | Writing, 0);
}
