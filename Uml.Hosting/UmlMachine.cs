using Uml.Core;
using Uml.Devices.Platform;

namespace Uml.Hosting;

/// <summary>Where most programs start.</summary>
public static class UmlMachine
{
    /// <summary>A builder with the standard board: what a stock Linux kernel needs to boot, and no console yet.</summary>
    public static VirtualMachineBuilder CreateDefaultBuilder() => new VirtualMachineBuilder().AddStandardBoard();
}
