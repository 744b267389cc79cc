using Uml.Differential.Tests.Native;

namespace Uml.Differential.Tests;

/// <summary>Says once in each run which processor the comparisons are with.</summary>
[SetUpFixture]
internal sealed class HostReport
{
    [OneTimeSetUp]
    public void PrintProcessor() => TestContext.Progress.WriteLine($"The host's processor: {HostProcessor.Description}.");
}
