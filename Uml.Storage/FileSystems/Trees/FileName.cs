using System.Diagnostics.CodeAnalysis;
using System.Text;
using Uml.Storage.Interop;

namespace Uml.Storage.FileSystems.Trees;

/// <summary>
/// The name of a file in its directory: 1 to 255 bytes without zero and '/', and neither "." nor "..". To Linux a name is bytes, of no encoding; text
/// stands for its UTF-8.
/// </summary>
public readonly struct FileName : IEquatable<FileName>
{
    /// <summary>NAME_MAX (linux/limits.h).</summary>
    public const int MaximumBytes = Limits.NameBytes;

    private readonly byte[]? _bytes;

    private FileName(byte[] bytes) => _bytes = bytes;

    /// <summary>The bytes of the name.</summary>
    public ReadOnlySpan<byte> Bytes => _bytes;

    /// <summary>Makes a name of text.</summary>
    /// <param name="text">The text.</param>
    /// <exception cref="ArgumentException">It is no name.</exception>
    public static FileName FromText(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return TryCreate(Encoding.UTF8.GetBytes(text), out FileName name)
            ? name
            : throw new ArgumentException($"'{text}' is no name of a file: use 1 to {MaximumBytes} bytes without '/', and neither '.' nor '..'.", nameof(text));
    }

    /// <summary>Makes a name of bytes.</summary>
    /// <param name="bytes">The bytes.</param>
    /// <param name="name">The name.</param>
    /// <returns>False when they are no name.</returns>
    public static bool TryCreate(ReadOnlySpan<byte> bytes, out FileName name)
    {
        bool isName = bytes.Length is > 0 and <= MaximumBytes && bytes.IndexOfAny((byte)0, (byte)'/') < 0 && !bytes.SequenceEqual("."u8)
            && !bytes.SequenceEqual(".."u8);
        name = isName ? new FileName(bytes.ToArray()) : default;
        return isName;
    }

    /// <summary>Whether two names have the same bytes.</summary>
    /// <param name="left">One.</param>
    /// <param name="right">The other.</param>
    public static bool operator ==(FileName left, FileName right) => left.Equals(right);

    /// <summary>Whether two names differ.</summary>
    /// <param name="left">One.</param>
    /// <param name="right">The other.</param>
    public static bool operator !=(FileName left, FileName right) => !left.Equals(right);

    /// <inheritdoc/>
    public bool Equals(FileName other) => Bytes.SequenceEqual(other.Bytes);

    /// <inheritdoc/>
    public override bool Equals([NotNullWhen(true)] object? obj) => obj is FileName other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode()
    {
        HashCode hash = default;
        hash.AddBytes(Bytes);
        return hash.ToHashCode();
    }

    /// <summary>The name as text; bytes that are no UTF-8 are replaced.</summary>
    public override string ToString() => Encoding.UTF8.GetString(Bytes);
}
