using System.Text;

namespace Uml.Storage.Nbd.Protocol;

/// <summary>"Conventions": strings are UTF-8.</summary>
internal static class NbdText
{
    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Text for a message: of a stranger, so without what a terminal obeys.</summary>
    public static string ToMessage(ReadOnlySpan<byte> bytes)
    {
        const int Shown = 256;
        string text = Encoding.UTF8.GetString(bytes[..Math.Min(bytes.Length, Shown)]);
        return string.Create(text.Length, text, static (span, source) =>
        {
            for (int i = 0; i < span.Length; i++)
            {
                span[i] = char.IsControl(source[i]) ? '.' : source[i];
            }
        });
    }

    /// <summary>A name, or a description, of the program's own.</summary>
    /// <exception cref="ArgumentException">It has a NUL, or more than 4096 bytes.</exception>
    public static string Check(string text, string parameter)
    {
        ArgumentNullException.ThrowIfNull(text, parameter);
        int length = Encoding.UTF8.GetByteCount(text);
        return length <= NbdProtocol.MaximumString && !text.Contains('\0', StringComparison.Ordinal) ? text
            : throw new ArgumentException($"A text of {length} bytes is not one of at most {NbdProtocol.MaximumString}, or has a NUL.", parameter);
    }

    /// <summary>A name, which has to be one.</summary>
    /// <returns>False when it is not text, is too long, or has a NUL.</returns>
    public static bool TryRead(ReadOnlySpan<byte> bytes, out string name)
    {
        name = "";
        if (bytes.Length > NbdProtocol.MaximumString || bytes.Contains((byte)0))
        {
            return false;
        }

        try
        {
            name = Strict.GetString(bytes);
            return true;
        }
        catch (DecoderFallbackException)
        {
            return false;
        }
    }
}
