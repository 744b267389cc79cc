using System.Globalization;
using System.Net.NetworkInformation;

namespace Uml.Net.Specs;

/// <summary>The options of one network, which are asked for by name; what nobody has asked for is unknown.</summary>
internal sealed class SpecOptions(Dictionary<string, string> options)
{
    private readonly SortedSet<string> _known = new(StringComparer.Ordinal);

    public string? Text(string name)
    {
        _known.Add(name);
        string? value = options.GetValueOrDefault(name);
        return value is { Length: 0 } ? throw new NetSpecException(name, $"The option {name} has no value: write one, or leave the option out.") : value;
    }

    public string Required(string name, string what) =>
        Text(name) ?? throw new NetSpecException(name, $"The option {name} is missing: write {name}={what}.");

    /// <summary>A decimal number, as UML's depth, mtu, vec and headroom.</summary>
    public int? Number(string name, int minimum, int maximum)
    {
        return Text(name) is not { } text
            ? null
            : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number >= minimum && number <= maximum
                ? number
                : throw new NetSpecException(name, $"The option {name} is '{text}', and can be a number from {minimum} to {maximum}.");
    }

    public bool? Flag(string name) => Number(name, 0, int.MaxValue) is { } number ? number != 0 : null;

    /// <summary>A number that is hexadecimal behind 0x and octal behind 0, as UML's keys, sessions and cookies.</summary>
    public ulong? Integer(string name, ulong maximum)
    {
        return Text(name) is not { } text
            ? null
            : TryParse(text, out ulong number) && number <= maximum
                ? number
                : throw new NetSpecException(name, $"The option {name} is '{text}', and can be a number from 0 to 0x{maximum:x}, hexadecimal behind 0x, octal behind 0.");
    }

    public uint RequiredInteger(string name) =>
        (uint)(Integer(name, uint.MaxValue) ?? throw new NetSpecException(name, $"The option {name} is missing: write {name}=NUMBER."));

    public PhysicalAddress? HardwareAddress(string name)
    {
        if (Text(name) is not { } text)
        {
            return null;
        }

        const int Length = 6;
        byte[] address = new byte[Length];
        string[] parts = text.Split(':');
        bool isValid = parts.Length == Length;
        for (int i = 0; isValid && i < Length; i++)
        {
            isValid = parts[i].Length is 1 or 2 && byte.TryParse(parts[i], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out address[i]);
        }

        return isValid && (address[0] & 1) == 0 && address.AsSpan().ContainsAnyExcept((byte)0)
            ? new PhysicalAddress(address)
            : throw new NetSpecException(name, $"The option {name} is '{text}', and can be the address of one card, such as 52:54:00:12:34:56: six bytes, the first of them even, not all zero.");
    }

    public T Choice<T>(string name, T otherwise, params ReadOnlySpan<(string Spelling, T Value)> choices)
    {
        if (Text(name) is not { } text)
        {
            return otherwise;
        }

        foreach ((string spelling, T value) in choices)
        {
            if (text == spelling)
            {
                return value;
            }
        }

        List<string> spellings = [];
        foreach ((string spelling, _) in choices)
        {
            spellings.Add(spelling);
        }

        throw new NetSpecException(name, $"The option {name} is '{text}', and can be {string.Join(" or ", spellings)}.");
    }

    public void RefuseUnknown(string transport)
    {
        foreach (string name in options.Keys)
        {
            if (!_known.Contains(name))
            {
                throw new NetSpecException(name, $"The transport {transport} has no option {name}; it has {string.Join(", ", _known)}.");
            }
        }
    }

    private static bool TryParse(string text, out ulong number)
    {
        if (text.StartsWith("0x", StringComparison.OrdinalIgnoreCase))
        {
            return ulong.TryParse(text.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out number);
        }

        if (text.Length < 2 || text[0] != '0')
        {
            return ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number);
        }

        number = 0;
        foreach (char digit in text)
        {
            if (digit is < '0' or > '7' || number >> 61 != 0)
            {
                return false;
            }

            number = (number << 3) | (uint)(digit - '0');
        }

        return true;
    }
}
