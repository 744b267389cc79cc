using System.Numerics;
using System.Runtime.CompilerServices;
using Uml.Core.Snapshots;

namespace Uml.Devices.Interrupts;

/// <summary>One bit for each interrupt vector: the layout of IRR, ISR and TMR (Intel SDM vol. 3, 12.8.4).</summary>
[InlineArray(WordCount)]
internal struct VectorSet
{
    private const int WordCount = 8;
    private uint _word;

    /// <summary>Whether a vector is in the set.</summary>
    public readonly bool Contains(int vector) => (this[vector >> 5] & (1u << vector)) != 0;

    /// <summary>Puts a vector in.</summary>
    public void Add(int vector) => this[vector >> 5] |= 1u << vector;

    /// <summary>Takes a vector out.</summary>
    public void Remove(int vector) => this[vector >> 5] &= ~(1u << vector);

    /// <summary>Writes the eight words.</summary>
    public readonly void SaveState(StateWriter state)
    {
        foreach (uint word in this)
        {
            state.Write(word);
        }
    }

    /// <summary>Reads a set.</summary>
    public static VectorSet Restore(StateReader state)
    {
        VectorSet set = default;
        foreach (ref uint word in set)
        {
            word = state.ReadUInt32();
        }

        return set;
    }

    /// <summary>The highest vector in the set, or -1.</summary>
    public readonly int Highest()
    {
        for (int i = WordCount - 1; i >= 0; i--)
        {
            if (this[i] != 0)
            {
                return (i * 32) + BitOperations.Log2(this[i]);
            }
        }

        return -1;
    }
}
