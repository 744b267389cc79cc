using Uml.Core.Machine;
using Uml.Core.Sandbox;

namespace Uml.Hosting.Testing;

/// <summary>How <see cref="DeviceConformance"/> tests.</summary>
public sealed class DeviceConformanceOptions
{
    /// <summary>The seed of the random guest; the same seed repeats a run.</summary>
    public int Seed { get; set; } = 1;

    /// <summary>Accesses of one run of the guest.</summary>
    public int Accesses { get; set; } = 600;

    /// <summary>Devices whose state outlasts a reset and their being unplugged, such as a clock with a battery: "rtc" of the standard board.</summary>
    public ISet<string> KeptAcrossReset { get; } = new HashSet<string> { "rtc" };

    /// <summary>Called with a saved machine and the one restored from it, to compare state that only the test has access to.</summary>
    public Action<DeviceSandbox, DeviceSandbox>? Restored { get; set; }

    /// <summary>
    /// Changes a device by other means than the guest's accesses. Called between accesses, in the same way for machines that are compared.
    /// </summary>
    public Action<DeviceSandbox, IMachineDevice, Random>? Act { get; set; }
}
