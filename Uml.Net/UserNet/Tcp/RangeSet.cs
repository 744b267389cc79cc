using Uml.Net.Packets;

namespace Uml.Net.UserNet.Tcp;

/// <summary>
/// Ranges of sequence numbers in order, none touching another: what has arrived out of order, or what the peer says has. Bounded: what does not
/// fit is forgotten, which costs a retransmission.
/// </summary>
internal sealed class RangeSet
{
    private const int MaximumRanges = 64;

    private readonly TcpRange[] _ranges = new TcpRange[MaximumRanges + 1];

    public int Count { get; private set; }

    /// <summary>Numbers in all ranges.</summary>
    public int Total { get; private set; }

    /// <summary>A range; the later in order, the greater.</summary>
    public TcpRange this[int index] => _ranges[index];

    /// <summary>Adds a range, which is not empty.</summary>
    /// <returns>False when there are too many.</returns>
    public bool Add(TcpRange range)
    {
        int first = 0;
        while (first < Count && Sequence.IsBefore(_ranges[first].End, range.Start))
        {
            first++;
        }

        int behind = first;
        while (behind < Count && Sequence.IsBeforeOrAt(_ranges[behind].Start, range.End))
        {
            range = new TcpRange(Sequence.Earlier(range.Start, _ranges[behind].Start), Sequence.Later(range.End, _ranges[behind].End));
            Total -= _ranges[behind].Length;
            behind++;
        }

        if (behind == first && Count == MaximumRanges)
        {
            return false;
        }

        Array.Copy(_ranges, behind, _ranges, first + 1, Count - behind);
        _ranges[first] = range;
        Count += first + 1 - behind;
        Total += range.Length;
        return true;
    }

    /// <summary>Removes all numbers before one.</summary>
    public void RemoveBefore(uint sequence)
    {
        int gone = 0;
        while (gone < Count && Sequence.IsBeforeOrAt(_ranges[gone].End, sequence))
        {
            Total -= _ranges[gone].Length;
            gone++;
        }

        Array.Copy(_ranges, gone, _ranges, 0, Count - gone);
        Count -= gone;
        if (Count != 0 && Sequence.IsBefore(_ranges[0].Start, sequence))
        {
            Total -= (int)(sequence - _ranges[0].Start);
            _ranges[0] = _ranges[0] with { Start = sequence };
        }
    }

    public void Clear() => (Count, Total) = (0, 0);

    /// <summary>The gap that a number is in, or the first behind it.</summary>
    /// <param name="sequence">The number.</param>
    /// <param name="gap">What no range has: from the number, or the end of the range that has it, to the next range.</param>
    /// <returns>False when no range is behind.</returns>
    public bool TryFindGap(uint sequence, out TcpRange gap)
    {
        for (int i = 0; i < Count; i++)
        {
            if (Sequence.IsBefore(sequence, _ranges[i].Start))
            {
                gap = new TcpRange(sequence, _ranges[i].Start);
                return true;
            }

            sequence = Sequence.Later(sequence, _ranges[i].End);
        }

        gap = default;
        return false;
    }
}
