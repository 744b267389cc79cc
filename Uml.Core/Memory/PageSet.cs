using System.Numerics;

namespace Uml.Core.Memory;

/// <summary>A set of pages of guest RAM, by number: a bit for each.</summary>
/// <param name="pages">How many pages there are.</param>
internal sealed class PageSet(ulong pages)
{
    private readonly ulong[] _bits = new ulong[(pages + 63) / 64];

    /// <summary>How many pages are in it.</summary>
    public int Count { get; private set; }

    public void Add(ulong page)
    {
        ref ulong word = ref _bits[page / 64];
        ulong bit = 1UL << (int)(page % 64);
        Count += (word & bit) == 0 ? 1 : 0;
        word |= bit;
    }

    public bool Contains(ulong page) => (_bits[page / 64] & (1UL << (int)(page % 64))) != 0;

    /// <summary>The pages, in ascending order.</summary>
    public IEnumerator<ulong> GetEnumerator()
    {
        for (int i = 0; i < _bits.Length; i++)
        {
            for (ulong left = _bits[i]; left != 0; left &= left - 1)
            {
                yield return ((ulong)i * 64) + (ulong)BitOperations.TrailingZeroCount(left);
            }
        }
    }
}
