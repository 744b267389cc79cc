using System.Text;
using System.Text.RegularExpressions;

namespace Uml.Devices.Consoles;

/// <summary>Console output as text, bounded, with a mark up to which it was matched. Not safe for several threads.</summary>
internal sealed class ConsoleTranscript(int maximum)
{
    /// <summary>Characters of the last lines, at most: they go into messages. A hundred lines of a terminal; a limit of ours.</summary>
    private const int MaximumTail = 8 << 10;

    private readonly StringBuilder _text = new();
    private readonly Decoder _decoder = new UTF8Encoding(false, throwOnInvalidBytes: false).GetDecoder();
    private readonly char[] _chars = new char[4096];

    /// <summary>Everything up to here was matched already.</summary>
    private int _mark;

    /// <summary>Counts the appended pieces, so that a reader knows whether there is anything new.</summary>
    public int Version { get; private set; }

    public void Append(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            _decoder.Convert(bytes, _chars, flush: false, out int used, out int count, out _);
            _text.Append(_chars, 0, count);
            bytes = bytes[used..];
        }

        // Trimmed by halves, so that a flood costs each character one move.
        if (_text.Length > maximum)
        {
            int excess = _text.Length - (maximum / 2);
            _text.Remove(0, excess);
            _mark = Math.Max(0, _mark - excess);
        }

        Version++;
    }

    /// <summary>The output that was not matched yet.</summary>
    public string GetUnmatched() => _text.ToString(_mark, _text.Length - _mark);

    /// <summary>Marks the first characters of <see cref="GetUnmatched"/> as matched.</summary>
    public void Consume(int length) => _mark += length;

    /// <summary>Everything that is kept.</summary>
    public override string ToString() => _text.ToString();

    /// <summary>The last lines in displayable form, without hidden text; of very long lines only the end.</summary>
    public string GetTail(int lines, IEnumerable<Regex> hidden) =>
        ConsoleText.ToPrintable(GetLastLines(hidden.Aggregate(_text.ToString(), (text, pattern) => pattern.Replace(text, "")), lines), MaximumTail);

    private static string GetLastLines(string text, int lines)
    {
        text = text.TrimEnd();
        int start = text.Length;
        while (lines-- > 0 && start > 0)
        {
            start = text.LastIndexOf('\n', start - 1);
            if (start < 0)
            {
                return text;
            }
        }

        return text[Math.Min(start + 1, text.Length)..];
    }
}
