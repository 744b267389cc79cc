using Microsoft.Extensions.DependencyInjection;
using Uml.Core.Bus;
using Uml.Core.Machine;
using Uml.Core.Snapshots;
using Uml.Devices.Acpi;
using Uml.Devices.Pci;

namespace Uml.Guest.Tests;

/// <summary>Linux takes a function and a device of another package for what they say they are.</summary>
[TestFixture]
[Category("Guest")]
public sealed class PciTests
{
    [Test]
    public async Task Linux_finds_the_function_its_registers_and_the_device_in_the_namespace()
    {
        await using GuestMachine guest = await GuestMachine.BootToShellAsync(builder =>
            builder.Services.AddSingleton<IMachineDevice>(services => new Function(services.GetRequiredService<IPciBus>())));
        Assert.That(await RunAsync("cat vendor device class"), Is.EqualTo("0x1234\n0x0001\n0xff0000\n"));
        Assert.That(
            await RunAsync("head -n 3 resource"),
            Is.EqualTo(
                """
                0x00000000c0000000 0x00000000c0000fff 0x0000000000040200
                0x000000000000c000 0x000000000000c01f 0x0000000000040101
                0x00000000c0001000 0x00000000c0001fff 0x0000000000040200

                """));
        Assert.That(await RunAsync("dmesg | grep -c 'root bus resource .io  0xc000-0xffff'"), Is.EqualTo("1\n"));
        Assert.That(await RunAsync("cat /sys/bus/acpi/devices/UML0001:00/path"), Does.Contain("\\_SB_.BELL"));

        async Task<string> RunAsync(string command) =>
            (await guest.Shell.RunAsync("cd /sys/bus/pci/devices/0000:00:01.0 && " + command, GuestMachine.Patience)).Output;
    }

    private sealed class Function : PciFunction, IBusDevice, IAcpiContributor
    {
        public Function(IPciBus bus)
            : base(bus, "bell", new PciIdentity(Vendor: 0x1234, Device: 0x0001, ClassCode: 0xFF_00_00))
        {
            AddBar(new PciBar { Index = 0, Length = 0x1000, Device = this });
            AddBar(new PciBar { Index = 1, Length = 0x20, Kind = PciBarKind.Ports, Device = this });
            AddMsix(barIndex: 2, vectorCount: 4);
            AddInterruptPin();
        }

        public ulong Read(IProcessor processor, ulong offset, int size) => offset;

        public void Write(IProcessor processor, ulong offset, int size, ulong value)
        {
        }

        public void Describe(AmlWriter scope) => scope.Device("BELL", device => device.NameString("_HID", "UML0001"));

        protected override void ResetRegisters()
        {
        }

        protected override void SaveRegisters(StateWriter state) => state.WriteNone();

        protected override void RestoreRegisters(StateReader state) => state.ReadNone();
    }
}
