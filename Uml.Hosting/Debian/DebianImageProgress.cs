namespace Uml.Hosting.Debian;

/// <summary>How far the making of a Debian image is.</summary>
/// <param name="Step">What is being done, such as "Unpacking packages".</param>
/// <param name="Percent">How much of the step is done, 0 to 100.</param>
public readonly record struct DebianImageProgress(string Step, double Percent);
