namespace Uml.PowerCuts.Tests;

/// <summary>The disk has failed a request of the driver's.</summary>
internal sealed class DiskFailedException(byte result) : Exception($"The disk failed a request with the result {result}.");
