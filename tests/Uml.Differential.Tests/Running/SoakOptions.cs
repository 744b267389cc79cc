using System.Globalization;
using Uml.Core.Cpu;

namespace Uml.Differential.Tests.Running;

/// <summary>The soak's command line, from words to options whose values can be parsed.</summary>
internal static class SoakOptions
{
    /// <summary>46 days: a timer of .NET takes 2^32 ms.</summary>
    private const double MaximumSeconds = 4_000_000;

    private static readonly string[] s_modes = ["--sequences", "--edges", "--prefixes", "--bytes"];
    private static readonly string[] s_flags = [.. s_modes, "--list"];
    private static readonly string[] s_engines = Enum.GetNames<CpuEngine>();

    private static readonly Dictionary<string, (Func<string, bool> IsRight, string Advice)> s_values = new(StringComparer.Ordinal)
    {
        ["--cases"] = (text => IsNumber(text, 1), "a whole number, at least 1"),
        ["--from"] = (text => IsNumber(text, 0), "a whole number, at least 0"),
        ["--seconds"] = (IsTime, $"0.001 to {MaximumSeconds.ToString(CultureInfo.InvariantCulture)}, or leave it out"),
        ["--seed"] = (text => Seeds.TryParse(text, out _), "a number of up to 64 bits, decimal or with 0x"),
        ["--code"] = (text => text.Split(',').All(name => name.Length > 0), "names that forms or mnemonics start with, such as Shld,Add_rm32_r32"),
        ["--bits"] = (text => text is "32" or "64", "32 or 64"),
        ["--engine"] = (IsEngine, string.Join(" or ", s_engines)),
        ["--reference"] = (IsEngine, string.Join(" or ", s_engines)),
        ["--child"] = (text => text.Length > 0, "a file"),
    };

    /// <summary>Reads a command line.</summary>
    /// <param name="args">Its words.</param>
    /// <param name="problem">What is wrong and what to write; null when nothing is.</param>
    /// <returns>The options with their values; flags have an empty one.</returns>
    public static Dictionary<string, string> Parse(IReadOnlyList<string> args, out string? problem)
    {
        var options = new Dictionary<string, string>(StringComparer.Ordinal);
        problem = null;
        for (int i = 0; i < args.Count && problem is null; i++)
        {
            string name = args[i];
            if (s_flags.Contains(name))
            {
                options[name] = "";
            }
            else if (!s_values.TryGetValue(name, out (Func<string, bool> IsRight, string Advice) value))
            {
                problem = $"There is no option '{name}'; --help tells what there is.";
            }
            else if (++i == args.Count)
            {
                problem = $"{name} has no value; write {value.Advice}.";
            }
            else
            {
                options[name] = args[i];
                problem = value.IsRight(args[i]) ? null : $"{name} is '{args[i]}'; write {value.Advice}.";
            }
        }

        string[] modes = [.. s_modes.Where(options.ContainsKey)];
        problem ??= modes.Length > 1 ? $"{string.Join(" and ", modes)} are runs of their own; name one." : null;
        return options;
    }

    private static bool IsNumber(string text, long minimum) =>
        long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long value) && value >= minimum;

    // The supervisor passes on the time that is left, which has no end when the run has none.
    private static bool IsTime(string text) =>
        double.TryParse(text, CultureInfo.InvariantCulture, out double value) && (value is >= 0.001 and <= MaximumSeconds || double.IsPositiveInfinity(value));

    private static bool IsEngine(string text) => s_engines.Contains(text, StringComparer.OrdinalIgnoreCase);
}
