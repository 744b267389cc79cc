using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.DependencyInjection;
using Uml.Core.Bus;
using Uml.Core.Machine;
using Uml.Devices.Consoles;
using Uml.Devices.Interrupts;
using Uml.Devices.Pci;
using Uml.Devices.Power;
using Uml.Devices.Timers;

namespace Uml.Devices.Board;

/// <summary>Gives machines a board.</summary>
public static class StandardBoard
{
    /// <summary>
    /// Adds the paravirtual PC that stock kernels boot on: local APICs, I/O APIC and 8259 pair, KVM's clock, 8254 timer, serial port,
    /// real-time clock, PCI host bridge, power and reset control, debug-exit port, and the ACPI tables that describe them.
    /// </summary>
    /// <remarks>
    /// Serial port ttyS0 (COM1) always exists, and drops output unless <c>AddConsole</c> gives it a channel; ttyS1 to ttyS3 exist if
    /// <c>AddConsole</c> adds them. Devices that plug into the board are registered after it, and use its services:
    /// <see cref="IInterruptRouter"/> and <see cref="IPciBus"/>.
    /// </remarks>
    /// <param name="builder">The machine.</param>
    /// <exception cref="InvalidOperationException">The machine has a board already.</exception>
    public static VirtualMachineBuilder AddStandardBoard(this VirtualMachineBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        IServiceCollection services = builder.Services;
        if (services.Any(service => service.ServiceType == typeof(InterruptWires)))
        {
            throw new InvalidOperationException("This machine has a board already.");
        }

        services.AddSingleton<ApicBus>();
        services.AddSingleton<InterruptWires>();
        services.AddSingleton<IInterruptRouter>(provider => provider.GetRequiredService<InterruptWires>());
        services.AddSingleton<IPciBus>(provider => provider.GetRequiredService<PciHostBridge>());

        // In the order of attaching.
        services.AddDevice<LocalApics>();
        services.AddDevice<IoApic>();
        services.AddDevice<PicPair>();
        services.AddDevice<Pit8254>();
        services.AddDevice<KvmClock>();
        services.AddDevice<PowerControl>();
        services.AddDevice<GeneralPurposeEvents>();
        services.AddDevice<SystemControlPort>();
        services.AddDevice<ResetVector>();
        services.AddDevice<PciSlots>();
        services.AddDevice<PciHostBridge>();
        services.AddDevice<Mc146818>();
        ConsoleBuilderExtensions.AddUart(builder, SerialPort.Find(SerialPort.First));
        services.AddDevice<AcpiTables>();
        return builder;
    }

    private static void AddDevice<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] TDevice>(
        this IServiceCollection services)
        where TDevice : class, IMachineDevice
    {
        services.AddSingleton<TDevice>();
        services.AddSingleton<IMachineDevice>(provider => provider.GetRequiredService<TDevice>());
    }
}
