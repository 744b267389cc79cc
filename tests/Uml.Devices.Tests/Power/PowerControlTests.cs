using Uml.Core.Machine;
using Uml.Devices.Power;
using Uml.Devices.Pci;
using Uml.Devices.Tests.Fakes;

namespace Uml.Devices.Tests.Power;

internal sealed class PowerControlTests
{
    private readonly FakeMachine _machine = new();

    [SetUp]
    public void Attach()
    {
        var power = new PowerControl();
        _machine.Plug(power);
        FakeRouter router = new();
        _machine.Plug(new PciHostBridge(power, new PciSlots(new GeneralPurposeEvents(router)), router));
    }

    [Test]
    public void Sleep_type_5_with_enable_switches_off()
    {
        _machine.RealBus.WritePort(_machine.Cpu, 0x604, 2, 0x1400);
        Assert.That(_machine.Exits, Is.Empty);
        Assert.That(_machine.RealBus.ReadPort(_machine.Cpu, 0x604, 2), Is.EqualTo(0x1401));
        _machine.RealBus.WritePort(_machine.Cpu, 0x604, 2, 0x3400);
        Assert.That(_machine.Exits.Single().Reason, Is.EqualTo(MachineExitReason.PowerOff));
        Assert.That(_machine.RealBus.ReadPort(_machine.Cpu, 0x604, 2), Is.EqualTo(0x1401), "enable reads as zero");
    }

    [Test]
    public void The_upper_byte_of_the_control_register_alone_switches_off()
    {
        _machine.Out(0x605, 0x34);
        Assert.That(_machine.Exits.Single().Reason, Is.EqualTo(MachineExitReason.PowerOff));
    }

    [TestCase(0x2000UL)]
    [TestCase(0x3000UL)]
    [TestCase(0x3C00UL)]
    [TestCase(0x1400UL)]
    public void Other_sleep_types_do_nothing(ulong value)
    {
        _machine.RealBus.WritePort(_machine.Cpu, 0x604, 2, value);
        Assert.That(_machine.Exits, Is.Empty);
    }

    [Test]
    public void The_machine_is_in_acpi_mode_for_ever()
    {
        _machine.RealBus.WritePort(_machine.Cpu, 0x604, 2, 0);
        Assert.That(_machine.RealBus.ReadPort(_machine.Cpu, 0x604, 2), Is.EqualTo(1));
    }

    [Test]
    public void Events_can_be_enabled_and_none_happens()
    {
        _machine.RealBus.WritePort(_machine.Cpu, 0x600, 4, 0xFFFF_FFFF);
        Assert.That(_machine.RealBus.ReadPort(_machine.Cpu, 0x600, 2), Is.Zero);
        Assert.That(_machine.RealBus.ReadPort(_machine.Cpu, 0x602, 2), Is.EqualTo(0x721));
        _machine.Out(0x603, 0);
        Assert.That(_machine.RealBus.ReadPort(_machine.Cpu, 0x600, 4), Is.EqualTo(0x21_0000));
    }

    [TestCase(new byte[] { 0x06 }, 1)]
    [TestCase(new byte[] { 0x02, 0x06 }, 1)]
    [TestCase(new byte[] { 0x0E, 0x00, 0x04 }, 2)]
    [TestCase(new byte[] { 0x06, 0x06 }, 1)]
    [TestCase(new byte[] { 0x02, 0x0A, 0x00, 0xFB }, 0)]
    public void The_rising_edge_of_the_reset_bit_resets(byte[] values, int expected)
    {
        foreach (byte value in values)
        {
            _machine.Out(0xCF9, value);
        }

        Assert.That(_machine.Exits, Has.Count.EqualTo(expected));
        Assert.That(_machine.Exits, Has.All.Matches<MachineExit>(e => e is { Reason: MachineExitReason.Reboot, Status: 0 }));
        Assert.That(_machine.In(0xCF9), Is.EqualTo(values[^1] & 0x0E));
    }

    [Test]
    public void The_keyboard_controller_pulses_the_reset_line_and_does_nothing_else()
    {
        _machine.Out(0x64, 0xAA);
        Assert.That(_machine.In(0x64), Is.EqualTo(0xFF));
        Assert.That(_machine.Exits, Is.Empty);
        _machine.Out(0x64, 0xFE);
        Assert.That(_machine.Exits.Single().Reason, Is.EqualTo(MachineExitReason.Reboot));
    }

    [TestCase(0xFC, 1)]
    [TestCase(0xF0, 1)]
    [TestCase(0xFF, 0)]
    [TestCase(0xFD, 0)]
    public void Every_pulse_of_the_keyboard_controller_with_the_reset_line_resets(byte command, int expected)
    {
        _machine.Out(0x64, command);
        Assert.That(_machine.Exits, Has.Count.EqualTo(expected));
    }

    [TestCase(new byte[] { 0x01 }, 1)]
    [TestCase(new byte[] { 0x02, 0x03 }, 1)]
    [TestCase(new byte[] { 0x03, 0x01, 0x00, 0x01 }, 2)]
    [TestCase(new byte[] { 0x02, 0x00, 0xFE }, 0)]
    public void The_rising_edge_of_the_fast_reset_bit_resets(byte[] values, int expected)
    {
        Assert.That(_machine.In(0x92), Is.EqualTo(2), "the A20 gate is open");
        foreach (byte value in values)
        {
            _machine.Out(0x92, value);
        }

        Assert.That(_machine.Exits, Has.Count.EqualTo(expected));
        Assert.That(_machine.Exits, Has.All.Matches<MachineExit>(e => e is { Reason: MachineExitReason.Reboot, Status: 0 }));
        Assert.That(_machine.In(0x92), Is.EqualTo(2 | (values[^1] & 1)));
    }

    [TestCase(1, 0x7BUL, 0x7Bu)]
    [TestCase(2, 0x1234UL, 0x1234u)]
    [TestCase(4, 0xDEAD_BEEFUL, 0xDEAD_BEEFu)]
    [TestCase(4, 0UL, 0u)]
    public void The_debug_exit_port_carries_a_status(int size, ulong value, uint status)
    {
        _machine.RealBus.WritePort(_machine.Cpu, 0xF4, size, value);
        var exit = _machine.Exits.Single();
        Assert.That(exit.Reason, Is.EqualTo(MachineExitReason.DebugExit));
        Assert.That(exit.Status, Is.EqualTo(status));
        Assert.That(_machine.In(0xF4), Is.EqualTo(0xFF));
    }
}
