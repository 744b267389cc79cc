namespace Uml.Fuzz.Running;

/// <summary>What the command line asks for.</summary>
/// <param name="Time">How long to go on; null for as long as there are cases.</param>
/// <param name="Seed">The seed that those of all cases follow from.</param>
/// <param name="OnlyCase">The seed of the only case to run; null runs cases of <paramref name="Seed"/>.</param>
/// <param name="FirstCase">The number of the first case.</param>
/// <param name="MaximumCases">The most cases to run.</param>
/// <param name="Isolated">Whether the cases run in a process of their own.</param>
/// <param name="Journal">The file that gets the number of the case that runs.</param>
internal sealed record FuzzSettings(
    TimeSpan? Time, ulong Seed, ulong? OnlyCase, long FirstCase, long MaximumCases, bool Isolated, string? Journal);
