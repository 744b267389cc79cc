using Uml.Storage.Nbd.Protocol;

namespace Uml.Storage.Nbd.Client;

/// <summary>Which bytes of a read have come, in chunks of any order.</summary>
internal sealed class NbdCoverage
{
    /// <summary>Parts that are not next to each other. A limit of ours, so that a server cannot take memory by it.</summary>
    private const int MaximumParts = 4096;

    /// <summary>In order, neither overlapping nor touching.</summary>
    private readonly List<(uint Start, uint End)> _parts = [];

    public void Clear() => _parts.Clear();

    /// <summary>Adds a chunk.</summary>
    /// <exception cref="NbdProtocolException">It overlaps with an earlier one, or there are too many pieces.</exception>
    public void Add(uint start, uint length)
    {
        uint end = start + length;
        int at = _parts.Count;
        while (at > 0 && _parts[at - 1].Start >= end)
        {
            at--;
        }

        // Those from here on begin behind the chunk.
        if (at > 0 && _parts[at - 1].End > start)
        {
            throw new NbdProtocolException($"a chunk of {length} bytes at {start} of a read overlaps with an earlier one");
        }

        bool touchesBefore = at > 0 && _parts[at - 1].End == start, touchesAfter = at < _parts.Count && _parts[at].Start == end;
        if (touchesBefore)
        {
            _parts[at - 1] = (_parts[at - 1].Start, touchesAfter ? _parts[at].End : end);
            if (touchesAfter)
            {
                _parts.RemoveAt(at);
            }
        }
        else if (touchesAfter)
        {
            _parts[at] = (start, _parts[at].End);
        }
        else if (_parts.Count < MaximumParts)
        {
            _parts.Insert(at, (start, end));
        }
        else
        {
            throw new NbdProtocolException($"the reply to one read has more than {MaximumParts} pieces with gaps between them");
        }
    }

    /// <summary>Whether all of a read has come.</summary>
    public bool IsWhole(uint length) => _parts.Count == 1 && _parts[0] == (0, length);
}
