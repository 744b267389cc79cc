namespace Uml.Fuzz.Running;

/// <summary>One case: everything random in it comes from its seed.</summary>
internal sealed class FuzzCase(ulong seed, Action<string> count)
{
    public ulong Seed => seed;

    /// <summary>The case's source of randomness.</summary>
    public FuzzRandom Random { get; } = new(seed);

    /// <summary>What the case was made of, for the report of a failure.</summary>
    public string Description { get; set; } = "";

    /// <summary>Counts an outcome ("loaded", "refused"), so that a run whose cases all end alike shows.</summary>
    public void Count(string outcome) => count(outcome);
}
