using System.Text;

namespace Uml.Devices.Consoles;

/// <summary>Makes text of a guest safe to display: it may contain terminal control sequences, or imitate messages of the host.</summary>
public static class ConsoleText
{
    /// <summary>
    /// Makes a guest's text fit for messages and logs. Lines and tabs stay; CR LF becomes LF. Other control characters are replaced by
    /// their pictures (Unicode block "Control Pictures", U+2400 to U+2421), those that have none, and those that change the direction of
    /// writing, by U+FFFD.
    /// </summary>
    /// <param name="text">The text.</param>
    /// <param name="maximumLength">The most characters of the result; at least 1. Of a longer text the end is left.</param>
    public static string ToPrintable(string text, int maximumLength)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentOutOfRangeException.ThrowIfLessThan(maximumLength, 1);
        int start = Math.Max(0, text.Length - maximumLength);
        StringBuilder printable = new(text.Length - start);
        for (int i = start; i < text.Length; i++)
        {
            if (text[i] != '\r' || i + 1 == text.Length || text[i + 1] != '\n')
            {
                printable.Append(ToPrintable(text[i]));
            }
        }

        return printable.ToString();
    }

    private static char ToPrintable(char c) => c switch
    {
        '\n' or '\t' => c,
        < ' ' => (char)('\u2400' + c),
        '\x7F' => '\u2421',

        // C1 controls, and the embeddings, overrides and isolates of Unicode's bidirectional algorithm (UAX 9, section 2).
        (>= '\x80' and <= '\x9F') or (>= '\u202A' and <= '\u202E') or (>= '\u2066' and <= '\u2069') => '\uFFFD',
        _ => c,
    };
}
