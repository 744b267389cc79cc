using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;

namespace Uml.Hosting.CommandLine;

/// <summary>
/// The names that User Mode Linux has for its disks, on a kernel's command line: they become the names that the guest has for the machine's disks.
/// Unit <c>n</c> (<c>ubda</c> and <c>ubd0</c> are unit 0) is the disk that was added to the machine as number <c>n</c>, whatever it is.
/// </summary>
public static class UmlDeviceNames
{
    /// <summary>UBD_MAJOR (linux/major.h) and UBD_SHIFT (arch/um/drivers/ubd_kern.c): numbers of UML's disks, 16 to a disk.</summary>
    private const uint Major = 98, MinorsOfDisk = 16;

    /// <summary>Units there can be: minor numbers have 20 bits (linux/kdev_t.h).</summary>
    private const uint MaximumUnits = (1 << 20) / MinorsOfDisk;

    private const string Devices = "/dev/";

    /// <summary>
    /// Maps the names in a command line. The value of <c>root=</c> and <c>resume=</c> may be written in all of UML's ways: <c>/dev/ubda</c>,
    /// <c>/dev/ubd0</c>, <c>/dev/ubd/0</c>, the same without <c>/dev/</c>, with a partition (<c>ubda1</c>, <c>ubd0p1</c>), or as <c>98:0</c>.
    /// The value of any other parameter is mapped when it begins with <c>/dev/ubd</c>. The words behind <c>--</c>, which are for the
    /// guest's init, stay as they are, as does all the rest.
    /// </summary>
    /// <param name="commandLine">The kernel's command line.</param>
    /// <returns>The command line with the guest's names, such as <c>/dev/vda1</c>.</returns>
    public static string Map(string commandLine)
    {
        ArgumentNullException.ThrowIfNull(commandLine);
        string[] words = commandLine.Split(' ');
        for (int i = 0; i < words.Length && words[i] != "--"; i++)
        {
            int equals = words[i].IndexOf('=', StringComparison.Ordinal) + 1;
            string name = words[i][..equals], value = words[i][equals..];
            bool isDisk = name is "root=" or "resume=" || (equals != 0 && value.StartsWith(Devices, StringComparison.Ordinal));
            if (isDisk && TryMapDevice(value, out string? device))
            {
                words[i] = name + device;
            }
        }

        return string.Join(' ', words);
    }

    /// <summary>Maps one name.</summary>
    /// <param name="name">What may be UML's name of a disk or partition, or the pair of its numbers.</param>
    /// <param name="device">The guest's name, with <c>/dev/</c>.</param>
    /// <returns>Whether it was one of UML's.</returns>
    public static bool TryMapDevice(string name, [NotNullWhen(true)] out string? device)
    {
        ArgumentNullException.ThrowIfNull(name);
        ReadOnlySpan<char> rest = name;
        if (rest.StartsWith(Devices))
        {
            rest = rest[Devices.Length..];
        }

        device = rest.StartsWith("ubd") ? MapName(rest[3..]) : MapNumbers(rest);
        return device is not null;
    }

    /// <summary>Maps what stands behind "ubd": letters or a number, and a partition.</summary>
    private static string? MapName(ReadOnlySpan<char> rest)
    {
        bool isNumber = rest is ['/' or (>= '0' and <= '9'), ..];
        rest = rest is ['/', ..] ? rest[1..] : rest;
        int end = isNumber ? rest.IndexOfAnyExceptInRange('0', '9') : rest.IndexOfAnyExceptInRange('a', 'z');
        ReadOnlySpan<char> unit = end < 0 ? rest : rest[..end], partition = end < 0 ? [] : rest[end..];

        // Linux writes "p" between a number and a number.
        partition = isNumber && partition is ['p', _, ..] ? partition[1..] : partition;
        return (isNumber ? TryParse(unit, out uint index) : TryParseLetters(unit, out index))
            && index < MaximumUnits && (partition.IsEmpty || TryParse(partition, out _))
            ? $"{Devices}vd{GetLetters(index)}{partition}"
            : null;
    }

    private static string? MapNumbers(ReadOnlySpan<char> numbers)
    {
        int colon = numbers.IndexOf(':');
        if (colon < 0 || !TryParse(numbers[..colon], out uint major) || major != Major || !TryParse(numbers[(colon + 1)..], out uint minor)
            || minor / MinorsOfDisk >= MaximumUnits)
        {
            return null;
        }

        uint partition = minor % MinorsOfDisk;
        return $"{Devices}vd{GetLetters(minor / MinorsOfDisk)}{(partition == 0 ? "" : partition.ToString(CultureInfo.InvariantCulture))}";
    }

    private static bool TryParse(ReadOnlySpan<char> digits, out uint number) =>
        uint.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out number);

    /// <summary>Letters count like the columns of a table: a is 0, z is 25, aa is 26.</summary>
    private static bool TryParseLetters(ReadOnlySpan<char> letters, out uint unit)
    {
        unit = 0;
        foreach (char letter in letters)
        {
            unit = (unit * 26) + (uint)(letter - 'a') + 1;
            if (unit > MaximumUnits)
            {
                return false;
            }
        }

        return unit-- != 0;
    }

    private static string GetLetters(uint unit)
    {
        StringBuilder letters = new();
        for (uint rest = unit + 1; rest != 0; rest = (rest - 1) / 26)
        {
            letters.Insert(0, (char)('a' + ((rest - 1) % 26)));
        }

        return letters.ToString();
    }
}
