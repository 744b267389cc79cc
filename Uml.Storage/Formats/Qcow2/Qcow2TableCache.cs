namespace Uml.Storage.Formats.Qcow2;

/// <summary>
/// Tables of one kind in memory: as many as there is room for, and more only while all of them have changes that are not in the file yet.
/// Members need the image's lock, except <see cref="TryGetEntry"/>.
/// </summary>
internal sealed class Qcow2TableCache
{
    /// <summary>Less would read tables again and again that one request needs.</summary>
    private const int MinimumTables = 4;

    private readonly Qcow2File _file;
    private readonly int _tableSize, _capacity;
    private readonly List<Qcow2Table> _tables = [];
    private List<Qcow2Table> _dirty = [], _writing = [];
    private Qcow2Table?[] _slots;
    private int _hand;

    public Qcow2TableCache(Qcow2File file, int tableSize, int slots, long bytes)
    {
        (_file, _tableSize) = (file, tableSize);
        _slots = new Qcow2Table?[slots];
        _capacity = (int)Math.Clamp(bytes / tableSize, MinimumTables, int.MaxValue);
    }

    /// <summary>Whether so many tables have changes that they should be written.</summary>
    public bool IsPressed => Volatile.Read(ref _dirty).Count + _writing.Count > _capacity / 2;

    public bool HasChanges => _dirty.Count != 0;

    /// <summary>Makes place in the root table.</summary>
    public void Grow(int slots)
    {
        Qcow2Table?[] larger = new Qcow2Table?[slots];
        _slots.CopyTo(larger, 0);
        Volatile.Write(ref _slots, larger);
    }

    /// <summary>Gets an entry of a table that is in memory; without the lock.</summary>
    public bool TryGetEntry(int index, int i, out ulong entry)
    {
        entry = 0;
        Qcow2Table? table = Volatile.Read(ref Volatile.Read(ref _slots)[index]);
        if (table is null || !table.TryGetEntry(index, i, out entry))
        {
            return false;
        }

        if (!table.IsUsed)
        {
            table.IsUsed = true;
        }

        return true;
    }

    /// <summary>Gets a table, from the file if it is not in memory.</summary>
    /// <exception cref="Blocks.BlockIOException">It could not be read.</exception>
    public Qcow2Table Get(int index, long offset)
    {
        if (_slots[index] is { } found)
        {
            found.IsUsed = true;
            return found;
        }

        Qcow2Table table = Take();
        int holds = -1;
        try
        {
            _file.Read(offset, table.Memory);
            holds = index;
        }
        finally
        {
            Put(table, holds, offset);
        }

        return table;
    }

    /// <summary>Adds a table of zeroes, which is to be written as a whole.</summary>
    public Qcow2Table Add(int index, long offset)
    {
        Qcow2Table table = Take();
        table.Data.Clear();
        Put(table, index, offset);
        MarkAllDirty(table);
        return table;
    }

    public void SetEntry(Qcow2Table table, int i, ulong value) => Note(table, table.SetEntry(i, value));

    public void MarkDirty(Qcow2Table table, int at) => Note(table, table.MarkDirty(at));

    public void MarkAllDirty(Qcow2Table table) => Note(table, table.MarkAllDirty());

    /// <summary>Copies all that differs from the file.</summary>
    public void Collect(Qcow2WriteBatch batch)
    {
        foreach (Qcow2Table table in _dirty)
        {
            table.Collect(batch);
        }

        (_dirty, _writing) = (_writing, _dirty);
    }

    /// <summary>What was collected is in the file, or has to be collected again.</summary>
    public void EndWriting(bool succeeded)
    {
        foreach (Qcow2Table table in _writing)
        {
            bool wasClean = table.Dirty == 0;
            table.EndWriting(succeeded);
            if (wasClean && !succeeded)
            {
                _dirty.Add(table);
            }
        }

        _writing.Clear();
    }

    private void Note(Qcow2Table table, bool wasClean)
    {
        if (wasClean)
        {
            _dirty.Add(table);
        }
    }

    /// <summary>Finds memory for a table: that of one which was not used for the longest, roughly.</summary>
    private Qcow2Table Take()
    {
        for (int i = 0; _tables.Count >= _capacity && i < 2 * _tables.Count; i++)
        {
            _hand = (_hand + 1) % _tables.Count;
            Qcow2Table table = _tables[_hand];
            if ((table.Dirty | table.Writing) != 0)
            {
                continue;
            }

            if (!table.IsUsed)
            {
                if (table.Index >= 0)
                {
                    _slots[table.Index] = null;
                }

                table.BeginChange();
                return table;
            }

            table.IsUsed = false;
        }

        Qcow2Table added = new(_tableSize);
        added.BeginChange();
        _tables.Add(added);
        return added;
    }

    private void Put(Qcow2Table table, int index, long offset)
    {
        table.IsUsed = index >= 0;
        table.EndChange(index, offset);
        if (index >= 0)
        {
            Volatile.Write(ref _slots[index], table);
        }
    }
}
