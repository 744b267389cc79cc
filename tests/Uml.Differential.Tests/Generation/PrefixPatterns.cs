namespace Uml.Differential.Tests.Generation;

/// <summary>
/// Prefixes around those that an instruction has: redundant, repeated, contradicting, and REX prefixes before legacy ones, where they
/// count for nothing (Intel SDM vol. 2, 2.1.1 and 2.2.1). Numbered, so that a run can go through all of them; random from
/// <see cref="Systematic"/> on.
/// </summary>
/// <param name="bitness">Of the code: outside 64-bit mode there are no REX prefixes.</param>
internal sealed class PrefixPatterns(int bitness)
{
    /// <summary>More than the longest instruction has room for.</summary>
    public const int MaxLength = 16;

    public const int MaxInstructionLength = 15;

    private const int Rexes = 16;
    private readonly bool _hasRex = bitness == 64;

    public static ReadOnlySpan<byte> Legacy => [0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x66, 0x67, 0xF0, 0xF2, 0xF3];

    /// <summary>One prefix more at one of the places before, between and behind the instruction's own.</summary>
    private int Singles => (Legacy.Length + (_hasRex ? Rexes : 0)) * Places;

    private int Places => _hasRex ? 3 : 2;

    /// <summary>Two legacy prefixes around a REX prefix, and a second one; outside 64-bit mode around the instruction's own.</summary>
    private int Pairs => Legacy.Length * Legacy.Length * Arrangements;

    private int Arrangements => _hasRex ? 4 : 3;

    /// <summary>One prefix as often as an instruction may have, and once more.</summary>
    private int Repeats => (Legacy.Length + (_hasRex ? 1 : 0)) * 2;

    /// <summary>Patterns that are not random.</summary>
    public int Systematic => Singles + Pairs + Repeats;

    public static bool IsLegacy(byte value) => Legacy.Contains(value);

    public bool IsRex(byte value) => _hasRex && (value & 0xF0) == 0x40;

    /// <summary>Writes the prefixes of a pattern.</summary>
    /// <param name="number">Of the pattern.</param>
    /// <param name="own">The instruction's legacy prefixes.</param>
    /// <param name="rex">The instruction's REX prefix; empty without one.</param>
    /// <param name="rest">Bytes of the instruction behind its prefixes.</param>
    /// <param name="rng">What the pattern leaves open is random.</param>
    /// <param name="prefixes">Gets them; <see cref="MaxLength"/> bytes.</param>
    /// <returns>How many there are.</returns>
    public int Write(int number, ReadOnlySpan<byte> own, ReadOnlySpan<byte> rex, int rest, ref Rng rng, Span<byte> prefixes)
    {
        var writer = new PrefixWriter(prefixes);
        if (number < Singles)
        {
            WriteSingle(number, own, rex, ref writer);
        }
        else if (number < Singles + Pairs)
        {
            WritePair(number - Singles, own, rex, ref rng, ref writer);
        }
        else if (number < Systematic)
        {
            WriteRepeats(number - Singles - Pairs, own, rex, rest, ref writer);
        }
        else
        {
            WriteRandom(own, rex, ref rng, ref writer);
        }

        return writer.Length;
    }

    private void WriteSingle(int number, ReadOnlySpan<byte> own, ReadOnlySpan<byte> rex, ref PrefixWriter writer)
    {
        int place = number % Places, prefix = number / Places;
        byte more = prefix < Legacy.Length ? Legacy[prefix] : (byte)(0x40 | (prefix - Legacy.Length));
        writer.Write(more, when: place == 0);
        writer.Write(own);
        writer.Write(more, when: place == 1);
        writer.Write(rex);
        writer.Write(more, when: place == 2);
    }

    private void WritePair(int number, ReadOnlySpan<byte> own, ReadOnlySpan<byte> rex, ref Rng rng, ref PrefixWriter writer)
    {
        int arrangement = number % Arrangements, pair = number / Arrangements;
        byte first = Legacy[pair / Legacy.Length], second = Legacy[pair % Legacy.Length];
        if (!_hasRex)
        {
            writer.Write(own, when: arrangement == 0);
            writer.Write(first);
            writer.Write(own, when: arrangement == 1);
            writer.Write(second);
            writer.Write(own, when: arrangement == 2);
            return;
        }

        byte other = (byte)(0x40 | rng.Below(Rexes));
        writer.Write(own);
        writer.Write(other, when: arrangement == 1);
        writer.Write(first);
        writer.Write(other, when: arrangement is 0 or 3);
        writer.Write(second);
        writer.Write(other, when: arrangement == 2);
        writer.Write(rex, when: arrangement == 3);
    }

    private static void WriteRepeats(int number, ReadOnlySpan<byte> own, ReadOnlySpan<byte> rex, int rest, ref PrefixWriter writer)
    {
        int length = MaxInstructionLength + (number % 2), prefix = number / 2;
        byte more = prefix < Legacy.Length ? Legacy[prefix] : (byte)0x40;
        for (int i = own.Length + rex.Length + rest; i < length; i++)
        {
            writer.Write(more);
        }

        writer.Write(own);
        writer.Write(rex);
    }

    private void WriteRandom(ReadOnlySpan<byte> own, ReadOnlySpan<byte> rex, ref Rng rng, ref PrefixWriter writer)
    {
        // Mostly a few; a quarter of the time so many that they come near what an instruction has room for, or pass it.
        int count = rng.OneIn(4) ? 6 + rng.Below(8) : 1 + rng.Below(5);
        int next = rng.OneIn(6) ? own.Length : 0;
        for (int i = 0; i < count; i++)
        {
            if (next < own.Length && rng.OneIn(3))
            {
                writer.Write(own[next++]);
            }

            writer.Write(_hasRex && rng.OneIn(3) ? (byte)(0x40 | rng.Below(Rexes)) : Legacy[rng.Below(Legacy.Length)]);
        }

        writer.Write(own[next..]);
        writer.Write(rex, when: !rng.OneIn(3));
    }
}

/// <summary>Appends prefixes as long as there is room.</summary>
internal ref struct PrefixWriter(Span<byte> buffer)
{
    private readonly Span<byte> _buffer = buffer;

    public int Length { get; private set; }

    public void Write(byte value, bool when = true)
    {
        if (when && Length < _buffer.Length)
        {
            _buffer[Length++] = value;
        }
    }

    public void Write(ReadOnlySpan<byte> values, bool when = true)
    {
        foreach (byte value in values)
        {
            Write(value, when);
        }
    }
}
