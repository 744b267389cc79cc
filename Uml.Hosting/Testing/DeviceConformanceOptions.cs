using Uml.Core.Machine;
using Uml.Core.Sandbox;

namespace Uml.Hosting.Testing;

/// <summary>How <see cref="DeviceConformance"/> tests.</summary>
public sealed class DeviceConformanceOptions
{
    /// <summary>Where the random guest begins; the same seed repeats a run.</summary>
    public int Seed { get; set; } = 1;

    /// <summary>Accesses of one run of the guest.</summary>
    public int Accesses { get; set; } = 600;

    /// <summary>Devices whose state outlasts a reset and their being unplugged, such as a clock with a battery: "rtc" of the standard board.</summary>
    public ISet<string> KeptAcrossReset { get; } = new HashSet<string> { "rtc" };

    /// <summary>Called with a machine that was saved and the one that was restored from it, to compare what only the test knows of.</summary>
    public Action<DeviceSandbox, DeviceSandbox>? Restored { get; set; }

    /// <summary>What else changes a device, for those that a guest does not reach by addresses: called between accesses, alike in machines that are compared.</summary>
    public Action<DeviceSandbox, IMachineDevice, Random>? Act { get; set; }
}
