namespace Uml.Core.Boot.Payload;

/// <summary>
/// Decodes LZO1X streams (Linux Documentation/staging/lzo.rst describes them). Every read and write is bounded by its span.
/// </summary>
internal ref struct Lzo1xDecoder
{
    // The state before the instruction: 0 to 3 literals after a match, or a literal run.
    private const int AfterLiteralRun = 4;

    private readonly ReadOnlySpan<byte> _input;
    private readonly Span<byte> _output;
    private int _read;
    private int _written;
    private int _state;

    private Lzo1xDecoder(ReadOnlySpan<byte> input, Span<byte> output)
    {
        _input = input;
        _output = output;
    }

    /// <summary>Decodes one stream.</summary>
    /// <param name="input">The stream and nothing else.</param>
    /// <param name="output">Filled exactly.</param>
    /// <exception cref="InvalidDataException">The stream is damaged or unpacks to another size.</exception>
    public static void Decode(ReadOnlySpan<byte> input, Span<byte> output)
    {
        Lzo1xDecoder decoder = new(input, output);
        decoder.Run();
    }

    private static InvalidDataException Damaged() => new("an LZO block does not decode.");

    private void Run()
    {
        // The first byte may be a run of its own kind: its value less 17 literals.
        if (_input.Length > 0 && _input[0] > 17)
        {
            int literals = _input[_read++] - 17;
            CopyLiterals(literals);
            _state = Math.Min(literals, AfterLiteralRun);
        }

        while (Step())
        {
        }

        if (_read != _input.Length || _written != _output.Length)
        {
            throw Damaged();
        }
    }

    private bool Step()
    {
        int code = Next();
        switch (code)
        {
            case < 16:
                ShortOrLiteral(code);
                return true;
            case < 32:
                return FarMatch(code);
            case < 64:
                int length = Length(code & 31, 31) + 2;
                int low = Next();
                Match(length, (Next() << 6) + (low >> 2) + 1, low & 3);
                return true;
            case < 128:
                Match(3 + (code >> 5 & 1), (Next() << 3) + (code >> 2 & 7) + 1, code & 3);
                return true;
            default:
                Match(5 + (code >> 5 & 3), (Next() << 3) + (code >> 2 & 7) + 1, code & 3);
                return true;
        }
    }

    private void ShortOrLiteral(int code)
    {
        if (_state == 0)
        {
            CopyLiterals(Length(code, 15) + 3);
            _state = AfterLiteralRun;
        }
        else if (_state == AfterLiteralRun)
        {
            Match(3, (Next() << 2) + (code >> 2) + 2049, code & 3);
        }
        else
        {
            Match(2, (Next() << 2) + (code >> 2) + 1, code & 3);
        }
    }

    private bool FarMatch(int code)
    {
        int length = Length(code & 7, 7) + 2;
        int low = Next();
        int distance = 16384 + ((code & 8) << 11) + (Next() << 6) + (low >> 2);
        if (distance == 16384)
        {
            // The end of the stream is a match of this form at distance 0.
            return false;
        }

        Match(length, distance, low & 3);
        return true;
    }

    // A length of 0 is extended: 255 for each zero byte, plus a byte that is not zero.
    private int Length(int bits, int ifZero)
    {
        if (bits != 0)
        {
            return bits;
        }

        int length = ifZero;
        int next;
        while ((next = Next()) == 0)
        {
            length += 255;
            if (length > _output.Length)
            {
                throw Damaged();
            }
        }

        return length + next;
    }

    private void Match(int length, int distance, int literals)
    {
        if (distance > _written || length > _output.Length - _written)
        {
            throw Damaged();
        }

        // Byte by byte, because a match may overlap its own output.
        for (int i = 0; i < length; i++)
        {
            _output[_written] = _output[_written - distance];
            _written++;
        }

        CopyLiterals(literals);
        _state = literals;
    }

    private void CopyLiterals(int count)
    {
        if (count > _input.Length - _read || count > _output.Length - _written)
        {
            throw Damaged();
        }

        _input.Slice(_read, count).CopyTo(_output[_written..]);
        _read += count;
        _written += count;
    }

    private int Next() => _read < _input.Length ? _input[_read++] : throw Damaged();
}
