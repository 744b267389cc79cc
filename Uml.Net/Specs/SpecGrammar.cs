using System.Text;

namespace Uml.Net.Specs;

/// <summary>
/// <c>key=value,key=value</c>. A value may stand in double quotes, with commas and equals signs in it; within them a backslash stands before a quote
/// and before a backslash. UML has no quotes.
/// </summary>
internal static class SpecGrammar
{
    /// <summary>Characters of the longest text. A limit of ours.</summary>
    public const int MaximumLength = 8192;

    public static Dictionary<string, string> Parse(string text)
    {
        if (text.Length > MaximumLength)
        {
            throw new NetSpecException($"A network is spelled in at most {MaximumLength} characters, and this one has {text.Length}.");
        }

        Dictionary<string, string> options = new(StringComparer.Ordinal);
        for (int at = 0; at < text.Length;)
        {
            int equals = text.AsSpan(at).IndexOfAny('=', ',');
            if (equals <= 0 || text[at + equals] != '=')
            {
                throw new NetSpecException($"'{Shorten(text[at..])}' is no option: write key=value, with a comma between options, as in transport=tap,ifname=tap0.");
            }

            string key = text.Substring(at, equals);
            at += equals + 1;
            string value = at < text.Length && text[at] == '"' ? ReadQuoted(text, key, ref at) : ReadPlain(text, key, ref at);
            if (!options.TryAdd(key, value))
            {
                throw new NetSpecException(key, $"The option {key} is given twice: leave one of them out.");
            }

            if (at < text.Length && ++at == text.Length)
            {
                throw new NetSpecException("A comma stands at the end: leave it out, or write an option behind it.");
            }
        }

        return options;
    }

    private static string ReadPlain(string text, string key, ref int at)
    {
        int end = text.IndexOf(',', at);
        string value = text[at..(end < 0 ? text.Length : end)];
        at += value.Length;
        return value.Contains('=')
            ? throw new NetSpecException(key, $"The value '{Shorten(value)}' of {key} has an equals sign: put it in double quotes, as in {key}=\"{Shorten(value)}\".")
            : value;
    }

    private static string ReadQuoted(string text, string key, ref int at)
    {
        StringBuilder value = new();
        for (at++; at < text.Length; at++)
        {
            switch (text[at])
            {
                case '"' when at + 1 == text.Length || text[at + 1] == ',':
                    at++;
                    return value.ToString();
                case '"':
                    throw new NetSpecException(key, $"Behind the quotes of {key} stands more than a comma: close them at its end, or write \\\" for a quote within.");
                case '\\' when at + 1 < text.Length && text[at + 1] is '"' or '\\':
                    value.Append(text[++at]);
                    break;
                default:
                    value.Append(text[at]);
                    break;
            }
        }

        throw new NetSpecException(key, $"The quotes of {key} are not closed: write a double quote at their end.");
    }

    private static string Shorten(string text) => text.Length <= 40 ? text : $"{text.AsSpan(0, 40)}...";
}
