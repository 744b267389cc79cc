using System.Globalization;

namespace Uml.Core.Tests.Interop;

/// <summary>One line of /proc/self/maps (proc_pid_maps(5)).</summary>
internal sealed record HostMapping(ulong Start, ulong End, string Access)
{
    /// <summary>All mappings of this process, by address.</summary>
    public static IReadOnlyList<HostMapping> All() => [.. File.ReadLines("/proc/self/maps").Select(Parse)];

    private static HostMapping Parse(string line)
    {
        string[] fields = line.Split(' ', 3);
        string[] ends = fields[0].Split('-');
        return new HostMapping(Number(ends[0]), Number(ends[1]), fields[1]);
    }

    private static ulong Number(string hexadecimal) => ulong.Parse(hexadecimal, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
}
