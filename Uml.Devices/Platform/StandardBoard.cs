using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Uml.Core.Bus;
using Uml.Core.Machine;
using Uml.Devices.Consoles;
using Uml.Devices.Interrupts;
using Uml.Devices.Pci;
using Uml.Devices.Platform.Acpi;
using Uml.Devices.Timers;

namespace Uml.Devices.Platform;

/// <summary>Registration of the standard board.</summary>
public static class StandardBoard
{
    /// <summary>
    /// Adds the paravirtual PC that stock kernels boot on: local APICs, I/O APIC and 8259 pair, KVM's clock, 8254 timer, serial ports,
    /// real-time clock, PCI host bridge, power and reset control, debug-exit port 0xF4, and the ACPI tables that describe them.
    /// </summary>
    /// <remarks>
    /// Serial port ttyS0 (COM1) is always there; it talks to the <see cref="IConsoleChannel"/> registered with the key "ttyS0", else
    /// to the one registered without key, else to nobody. Ports ttyS1 to ttyS3 exist when a channel is registered with their name
    /// as key. Devices that plug into the board are registered after it.
    /// </remarks>
    /// <param name="services">The services of a machine under construction.</param>
    /// <returns>The same services.</returns>
    public static IServiceCollection AddStandardBoard(this IServiceCollection services)
    {
        ArgumentNullException.ThrowIfNull(services);
        services.TryAddSingleton<ApicBus>();
        services.TryAddSingleton<InterruptWires>();
        services.TryAddSingleton<IInterruptRouter>(provider => provider.GetRequiredService<InterruptWires>());

        // In the order of attaching; the tables come last because they describe the others.
        services.AddDevice<LocalApics>();
        services.AddDevice<IoApic>();
        services.AddDevice<PicPair>();
        services.AddDevice<Pit8254>();
        services.AddDevice<KvmClock>();
        services.AddDevice<PowerControl>();
        services.AddDevice<SystemControlPort>();
        services.AddDevice<ResetVector>();
        services.AddDevice<PciHostBridge>();
        services.AddDevice<RealTimeClock>();
        services.AddDevice<SerialPorts>();
        services.AddDevice<AcpiTables>();
        services.AddContributor<PciHostBridge>();
        services.AddContributor<RealTimeClock>();
        services.AddContributor<SerialPorts>();
        return services;
    }

    private static void AddDevice<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] TDevice>(
        this IServiceCollection services)
        where TDevice : class, IMachineDevice
    {
        services.AddSingleton<TDevice>();
        services.AddSingleton<IMachineDevice>(provider => provider.GetRequiredService<TDevice>());
    }

    private static void AddContributor<TDevice>(this IServiceCollection services)
        where TDevice : class, IAcpiContributor =>
        services.AddSingleton<IAcpiContributor>(provider => provider.GetRequiredService<TDevice>());
}
