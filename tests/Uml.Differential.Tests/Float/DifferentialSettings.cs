using System.Globalization;

namespace Uml.Differential.Tests.Float;

/// <summary>Seed and number of cases per instruction form, from the environment or from defaults.</summary>
internal static class DifferentialSettings
{
    public const string SeedVariable = "UML_DIFF_SEED";
    public const string CountVariable = "UML_DIFF_COUNT";

    public static int Count => Read(CountVariable) ?? 1000;

    public static Random CreateRandom(string form)
    {
        int seed = Read(SeedVariable) ?? Environment.TickCount;
        TestContext.Out.WriteLine($"{form}: {SeedVariable}={seed} {CountVariable}={Count}");

        // Mixing in the form's name keeps each form's stream independent of which other forms run.
        int mixed = seed;
        foreach (char c in form)
        {
            mixed = unchecked((mixed * 31) + c);
        }

        return new Random(mixed);
    }

    private static int? Read(string name) =>
        int.TryParse(Environment.GetEnvironmentVariable(name), CultureInfo.InvariantCulture, out int value) ? value : null;
}
