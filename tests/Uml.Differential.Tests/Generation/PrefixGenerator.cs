using Iced.Intel;
using Uml.Differential.Tests.Engines;

namespace Uml.Differential.Tests.Generation;

/// <summary>
/// Makes single-instruction cases whose prefixes are others than the form asks for. What they make of the instruction, maybe another form,
/// the decoder says; it gets operands accordingly.
/// </summary>
/// <param name="catalog">The forms.</param>
/// <param name="native">One of the engines is the host's processor, on which not everything can be run.</param>
internal sealed class PrefixGenerator(FormCatalog catalog, bool native)
{
    /// <summary>Instructions that are encoded in these many attempts or not at all, and operands.</summary>
    private const int MaxEncodings = 400, MaxPlacements = 40;

    private const int BufferSize = 48, InvalidSize = 24;

    private readonly EncodingGenerator _encodings = new(catalog.Bitness);
    private readonly PrefixPatterns _patterns = new(catalog.Bitness);
    private readonly HashSet<Code> _covered = [.. catalog.Covered.Select(form => form.Code)];
    private readonly byte[] _base = new byte[16], _code = new byte[BufferSize], _placed = new byte[16], _prefixes = new byte[PrefixPatterns.MaxLength];

    /// <summary>Patterns that are not random.</summary>
    public int Systematic => _patterns.Systematic;

    /// <summary>The case of a form, a seed and a pattern of prefixes.</summary>
    /// <returns>Null when what the prefixes make of the instruction is not to be run.</returns>
    public TestCase? Create(OpCodeInfo form, ulong seed, int pattern)
    {
        var rng = new Rng(seed);
        int length = DrawBase(ref rng, form, seed, out int own, out int rex);
        var open = new Rng(~seed);
        ReadOnlySpan<byte> all = _base.AsSpan(0, length);
        int count = _patterns.Write(pattern, all[..own], all.Slice(own, rex), length - own - rex, ref open, _prefixes);
        return Finish(ref rng, form, seed, _prefixes.AsSpan(0, count), all[(own + rex)..]);
    }

    /// <summary>The case of a form, a seed and its prefixes.</summary>
    public TestCase? Create(OpCodeInfo form, ulong seed, ReadOnlySpan<byte> prefixes)
    {
        var rng = new Rng(seed);
        int length = DrawBase(ref rng, form, seed, out int own, out int rex);
        return Finish(ref rng, form, seed, prefixes, _base.AsSpan(own + rex, length - own - rex));
    }

    /// <summary>An encoding of the form, taken apart.</summary>
    private int DrawBase(ref Rng rng, OpCodeInfo form, ulong seed, out int own, out int rex)
    {
        for (int attempt = 0; attempt < MaxEncodings; attempt++)
        {
            if (_encodings.TryWrite(ref rng, form, Layout.Program, _base, out _, out int length))
            {
                own = 0;
                while (PrefixPatterns.IsLegacy(_base[own]))
                {
                    own++;
                }

                rex = _patterns.IsRex(_base[own]) ? 1 : 0;
                return length;
            }
        }

        throw new InvalidOperationException($"No encoding of {form.Code} within {MaxEncodings} attempts of seed 0x{seed:x}.");
    }

    private TestCase? Finish(ref Rng rng, OpCodeInfo form, ulong seed, ReadOnlySpan<byte> prefixes, ReadOnlySpan<byte> rest)
    {
        // Other prefixes can ask for more bytes of address or immediate than the instruction had.
        prefixes.CopyTo(_code);
        rest.CopyTo(_code.AsSpan(prefixes.Length));
        Span<byte> more = _code.AsSpan(prefixes.Length + rest.Length);
        rng.Fill(more);
        Instruction instruction = _encodings.Decode(_code, Layout.Program, out _);
        var test = new TestCase { Bitness = catalog.Bitness, Seed = seed, Form = form.Code, Prefixes = prefixes.ToArray() };
        if (instruction.IsInvalid)
        {
            more.Clear();
            return native && !PrefixQuirks.IsInvalidForAll(_code, catalog.Bitness) ? null : MakeInvalid(ref rng, test);
        }

        if (native ? !_covered.Contains(instruction.Code) || !PrefixQuirks.IsComparable(in instruction, _code, catalog.Bitness)
            : instruction.Mnemonic == Mnemonic.Syscall)
        {
            return null;
        }

        for (int attempt = 0; attempt < MaxPlacements; attempt++)
        {
            StateGenerator.Fill(ref rng, test);
            Span<byte> code = _placed.AsSpan(0, instruction.Length);
            _code.AsSpan(0, instruction.Length).CopyTo(code);
            if (new OperandPlacer(test, _encodings, code, instruction).Place(ref rng))
            {
                test.Steps = [new Step(code.ToArray())];
                return test;
            }
        }

        return null;
    }

    /// <summary>All registers point into windows, so that whatever an engine makes of the bytes does no harm.</summary>
    private TestCase MakeInvalid(ref Rng rng, TestCase test)
    {
        StateGenerator.Fill(ref rng, test);
        test.State.Gprs[..(catalog.Bitness == 64 ? 16 : 8)].Fill(Layout.Data + 0x800);
        test.State.Gprs[4] = Layout.Stack + 0x800;
        test.Steps = [new Step(_code[..InvalidSize])];
        return test;
    }
}
