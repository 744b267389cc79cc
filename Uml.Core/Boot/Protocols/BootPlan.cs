namespace Uml.Core.Boot.Protocols;

/// <summary>Keeps account of which RAM the loader has given to what, and writes only there.</summary>
internal sealed class BootPlan
{
    // Bytes written between two checks for cancellation.
    private const int ChunkBytes = 16 << 20;

    private readonly IBootMemory _memory;
    private readonly List<(ulong Start, ulong End)> _ram = [];
    private readonly List<(ulong Start, ulong End, string What)> _taken = [];

    /// <summary>Creates a plan in which all RAM is free.</summary>
    /// <param name="map">The memory map.</param>
    /// <param name="memory">The RAM.</param>
    /// <param name="cancellationToken">Ends the loading.</param>
    /// <exception cref="MachineConfigurationException">The map overlaps, is not ascending, or names no RAM.</exception>
    public BootPlan(IReadOnlyList<MemoryMapEntry> map, IBootMemory memory, CancellationToken cancellationToken)
    {
        Map = map;
        CancellationToken = cancellationToken;
        _memory = memory;
        if (map.Count > ZeroPage.MaximumE820Entries)
        {
            throw new MachineConfigurationException(
                $"The memory map has {map.Count} ranges; boot protocols can hand over {ZeroPage.MaximumE820Entries}. Merge ranges.");
        }

        ulong previousEnd = 0;
        foreach (MemoryMapEntry entry in map)
        {
            if (entry.Length == 0 || entry.Base < previousEnd || entry.Length > ulong.MaxValue - entry.Base)
            {
                throw new MachineConfigurationException(
                    $"The memory map's range at 0x{entry.Base:x} with {entry.Length} bytes is empty, overlaps the range below or ends "
                    + "outside the address space; list the ranges ascending and without overlaps.");
            }

            previousEnd = entry.End;
            AddRam(entry);
        }

        RamBytes = Sum(_ram);
        if (RamBytes == 0)
        {
            throw new MachineConfigurationException("The memory map has no usable RAM; give the machine memory.");
        }
    }

    /// <summary>The memory map.</summary>
    public IReadOnlyList<MemoryMapEntry> Map { get; }

    /// <summary>Ends the loading.</summary>
    public CancellationToken CancellationToken { get; }

    /// <summary>All usable RAM.</summary>
    public ulong RamBytes { get; }

    /// <summary>Whether a range is RAM that nothing is using.</summary>
    public bool IsFree(ulong start, ulong length) => IsRam(start, length) && FindTaken(start, start + length) is null;

    /// <summary>Takes a range.</summary>
    /// <param name="start">The first address.</param>
    /// <param name="length">The number of bytes.</param>
    /// <param name="what">The purpose, for messages.</param>
    /// <exception cref="KernelImageException">The range is not RAM, or taken.</exception>
    public void Take(ulong start, ulong length, string what)
    {
        if (!IsRam(start, length))
        {
            throw new KernelImageException(
                $"The {what} needs the memory from 0x{start:x} to 0x{unchecked(start + length):x} ({Describe.Size(length)}), which is not "
                + $"guest RAM; the guest has {Describe.Size(RamBytes)}: {DescribeRam()}. Give the machine more memory.");
        }

        if (FindTaken(start, start + length) is string other)
        {
            throw new KernelImageException(
                $"The {what} (0x{start:x} to 0x{start + length:x}) would overwrite the {other}; load it elsewhere.");
        }

        _taken.Add((start, start + length, what));
    }

    /// <summary>Takes the highest free range, page aligned, at or above 1 MiB.</summary>
    /// <param name="length">The number of bytes.</param>
    /// <param name="limit">The first address that may no longer be used.</param>
    /// <param name="what">The purpose, for messages.</param>
    /// <returns>The address, or null when there is no such range.</returns>
    public ulong? TakeHighest(ulong length, ulong limit, string what)
    {
        ulong pages = (length + BootMemoryLayout.PageBytes - 1) & ~(BootMemoryLayout.PageBytes - 1);
        ulong? address = FindHighest(pages, limit & ~(BootMemoryLayout.PageBytes - 1), BootMemoryLayout.PageBytes, 0);
        if (address is ulong start)
        {
            _taken.Add((start, start + pages, what));
        }

        return address;
    }

    /// <summary>Finds the highest free range at or above 1 MiB.</summary>
    /// <param name="length">The number of bytes, at least 1.</param>
    /// <param name="limit">The first address that may no longer be used.</param>
    /// <param name="alignment">The address is a multiple of this, plus <paramref name="phase"/>; at least 1.</param>
    /// <param name="phase">Any address with the alignment wanted; only its remainder matters.</param>
    /// <returns>The address, or null when there is no such range.</returns>
    public ulong? FindHighest(ulong length, ulong limit, ulong alignment, ulong phase)
    {
        for (int i = _ram.Count - 1; i >= 0; i--)
        {
            ulong bottom = Math.Max(_ram[i].Start, BootMemoryLayout.HighMemoryStart);
            ulong top = Math.Min(_ram[i].End, limit);

            // Each round goes below one more of the ranges that are taken.
            while (top > bottom && top - bottom >= length)
            {
                ulong start = top - length;
                ulong excess = ((start % alignment) + alignment - (phase % alignment)) % alignment;
                if (excess > start - bottom)
                {
                    break;
                }

                start -= excess;
                if (FindTakenStart(start, start + length) is not ulong obstacle)
                {
                    return start;
                }

                top = obstacle;
            }
        }

        return null;
    }

    /// <summary>Writes bytes into a range that was taken.</summary>
    public void Write(ulong address, ReadOnlySpan<byte> data)
    {
        for (int done = 0; done < data.Length; done += ChunkBytes)
        {
            CancellationToken.ThrowIfCancellationRequested();
            _memory.Write(address + (ulong)done, data.Slice(done, Math.Min(ChunkBytes, data.Length - done)));
        }
    }

    /// <summary>Takes a range and writes it.</summary>
    public void TakeAndWrite(ulong address, ReadOnlySpan<byte> data, string what)
    {
        Take(address, (ulong)data.Length, what);
        Write(address, data);
    }

    /// <summary>Zeroes a range that was taken.</summary>
    public void Clear(ulong address, ulong length)
    {
        for (ulong done = 0; done < length; done += ChunkBytes)
        {
            CancellationToken.ThrowIfCancellationRequested();
            _memory.Clear(address + done, Math.Min(ChunkBytes, length - done));
        }
    }

    private static ulong Sum(List<(ulong Start, ulong End)> ranges)
    {
        ulong sum = 0;
        foreach ((ulong start, ulong end) in ranges)
        {
            sum += end - start;
        }

        return sum;
    }

    private void AddRam(MemoryMapEntry entry)
    {
        if (entry.Type != MemoryMapEntryType.Usable)
        {
            return;
        }

        if (_ram.Count > 0 && _ram[^1].End == entry.Base)
        {
            _ram[^1] = (_ram[^1].Start, entry.End);
        }
        else
        {
            _ram.Add((entry.Base, entry.End));
        }
    }

    private bool IsRam(ulong start, ulong length)
    {
        foreach ((ulong ramStart, ulong ramEnd) in _ram)
        {
            if (start >= ramStart && start <= ramEnd && length <= ramEnd - start)
            {
                return true;
            }
        }

        return false;
    }

    private string? FindTaken(ulong start, ulong end)
    {
        foreach ((ulong takenStart, ulong takenEnd, string what) in _taken)
        {
            if (start < takenEnd && takenStart < end)
            {
                return what;
            }
        }

        return null;
    }

    private ulong? FindTakenStart(ulong start, ulong end)
    {
        foreach ((ulong takenStart, ulong takenEnd, _) in _taken)
        {
            if (start < takenEnd && takenStart < end)
            {
                return takenStart;
            }
        }

        return null;
    }

    private string DescribeRam() =>
        string.Join(", ", _ram.ConvertAll(range => $"0x{range.Start:x} to 0x{range.End:x}"));
}
