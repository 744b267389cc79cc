using System.Text;
using Uml.Net.Interop;

namespace Uml.Net.Transports.Tap;

/// <summary>Names of interfaces, which have at most 15 bytes.</summary>
internal static class InterfaceName
{
    public static void Write(string name, Span<byte> field) => Encoding.UTF8.GetBytes(name, field);

    public static string Read(ReadOnlySpan<byte> field) => Encoding.UTF8.GetString(field[..Math.Max(0, field.IndexOf((byte)0))]);

    /// <exception cref="ArgumentException">There can be no such name.</exception>
    public static void Validate(string name, string parameter)
    {
        if (Encoding.UTF8.GetByteCount(name) is 0 or >= NetIf.NameSize || name.AsSpan().ContainsAny("/ \0"))
        {
            throw new ArgumentException(
                $"'{name}' is no name of an interface (ifname): these have 1 to {NetIf.NameSize - 1} bytes, without spaces and slashes.", parameter);
        }
    }
}
