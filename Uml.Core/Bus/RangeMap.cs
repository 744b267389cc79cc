namespace Uml.Core.Bus;

/// <summary>
/// The devices of one address space by range. It is looked up on every device access and rarely changed: a sorted array that is replaced on
/// each change, with a cache of the last range, because devices are accessed in bursts.
/// </summary>
internal sealed class RangeMap<TDevice>
    where TDevice : class
{
    private Entry[] _entries = [];
    private Entry? _lastHit;

    /// <summary>One claimed range.</summary>
    internal sealed record Entry(ulong Start, ulong Length, TDevice Device);

    /// <summary>Finds the range that holds an address, or null.</summary>
    public Entry? Find(ulong address)
    {
        // The subtraction wraps for addresses below the range, which makes one comparison test both ends.
        var hit = _lastHit;
        if (hit is not null && address - hit.Start < hit.Length)
        {
            return hit;
        }

        var entries = _entries;
        int index = LastStartingAtOrBefore(entries, address);
        if (index < 0 || address - entries[index].Start >= entries[index].Length)
        {
            return null;
        }

        return _lastHit = entries[index];
    }

    /// <summary>Claims a range that is not empty and does not wrap.</summary>
    /// <returns>Releases the range when disposed; null when it overlaps <paramref name="neighbour"/>.</returns>
    public IDisposable? TryAdd(ulong start, ulong length, TDevice device, out Entry? neighbour)
    {
        int index = LastStartingAtOrBefore(_entries, start);
        if (index >= 0 && start - _entries[index].Start < _entries[index].Length)
        {
            neighbour = _entries[index];
            return null;
        }

        if (index + 1 < _entries.Length && _entries[index + 1].Start - start < length)
        {
            neighbour = _entries[index + 1];
            return null;
        }

        neighbour = null;
        var entry = new Entry(start, length, device);
        _entries = [.. _entries[..(index + 1)], entry, .. _entries[(index + 1)..]];
        return new Claim(this, entry);
    }

    private void Remove(Entry entry)
    {
        _entries = Array.FindAll(_entries, other => !ReferenceEquals(other, entry));
        _lastHit = null;
    }

    private static int LastStartingAtOrBefore(Entry[] entries, ulong address)
    {
        int low = 0;
        int high = entries.Length;
        while (low < high)
        {
            int middle = (low + high) >>> 1;
            if (entries[middle].Start <= address)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        return low - 1;
    }

    private sealed class Claim(RangeMap<TDevice> map, Entry entry) : IDisposable
    {
        public void Dispose() => map.Remove(entry);
    }
}
