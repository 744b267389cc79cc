using Uml.Core.Bus;
using Uml.Devices.Interrupts;
using Uml.Devices.Tests.Fakes;

namespace Uml.Devices.Tests.Interrupts;

/// <summary>Both chips with their ports, and their way to the processor.</summary>
internal sealed class PicPairTests
{
    private const ushort Master = 0x20, Slave = 0xA0, TriggerModes = 0x4D0;
    private const byte EndOfInterrupt = 0x20;
    private const uint SpuriousVector = 0xFEE0_00F0, Lint0 = 0xFEE0_0350, LocalEnd = 0xFEE0_00B0, Masked = 1 << 16, External = 0x700;

    private readonly FakeMachine _machine = new();
    private readonly PicPair _pics;
    private readonly InterruptWires _wires;

    public PicPairTests()
    {
        var bus = new ApicBus();
        var ioApic = new IoApic(bus);
        var apics = new LocalApics(bus);
        _machine.Plug(apics);
        _machine.Plug(ioApic);
        _pics = new PicPair(apics);
        _machine.Plug(_pics);
        _wires = new InterruptWires(bus, ioApic, _pics);
    }

    [Test]
    public void Firmware_leaves_everything_masked_under_its_vectors()
    {
        Assert.That(_machine.In(Master + 1), Is.EqualTo(0xFF));
        Assert.That(_machine.In(Slave + 1), Is.EqualTo(0xFF));
        _machine.Out(Master + 1, 0);
        Line(1).Set(true);
        Assert.That(_machine.Cpu.Acknowledge(), Is.EqualTo(0x09), "below 16, where the processor's exceptions are, as on every PC");
    }

    [TestCase(0, 0x30)]
    [TestCase(7, 0x37)]
    [TestCase(8, 0x38)]
    [TestCase(15, 0x3F)]
    public void An_interrupt_has_its_vector(int interrupt, int vector)
    {
        Initialize();
        Line(interrupt).Set(true);
        Assert.That(_machine.Cpu.Acknowledge(), Is.EqualTo(vector));
        Assert.That(_machine.Cpu.IsInterruptRequested, Is.False);
    }

    [Test]
    public void Interrupt_2_is_the_cascade_and_not_wired()
    {
        Initialize();
        Line(2).Set(true);
        Assert.That(_machine.Cpu.IsInterruptRequested, Is.False);
    }

    [Test]
    public void The_slave_has_the_priority_of_input_2()
    {
        Initialize();
        Line(3).Set(true);
        Line(13).Set(true);
        Assert.That(_machine.Cpu.Acknowledge(), Is.EqualTo(0x3D));
        Assert.That(Read(Master, 0x0B), Is.EqualTo(1 << 2));
        Assert.That(Read(Slave, 0x0B), Is.EqualTo(1 << 5));
        Line(1).Set(true);
        Assert.That(_machine.Cpu.Acknowledge(), Is.EqualTo(0x31));
        _machine.Out(Master, EndOfInterrupt);
        _machine.Out(Slave, EndOfInterrupt);
        _machine.Out(Master, EndOfInterrupt);
        Assert.That(_machine.Cpu.Acknowledge(), Is.EqualTo(0x33));
    }

    [Test]
    public void The_cascade_blocks_a_higher_interrupt_of_the_slave_until_the_master_has_its_end()
    {
        Initialize();
        Line(12).Set(true);
        Assert.That(_machine.Cpu.Acknowledge(), Is.EqualTo(0x3C));
        Line(8).Set(true);
        Assert.That(_machine.Cpu.IsInterruptRequested, Is.False);
        _machine.Out(Master, EndOfInterrupt);
        Assert.That(_machine.Cpu.Acknowledge(), Is.EqualTo(0x38));
    }

    [Test]
    public void In_the_special_fully_nested_mode_it_does_not()
    {
        Initialize(masterIcw4: 0x11);
        Line(12).Set(true);
        _machine.Cpu.Acknowledge();
        Line(5).Set(true);
        Assert.That(_machine.Cpu.IsInterruptRequested, Is.False, "lower interrupts of the master stay blocked");
        Line(8).Set(true);
        Assert.That(_machine.Cpu.Acknowledge(), Is.EqualTo(0x38));
    }

    [Test]
    public void Requests_of_the_slave_are_not_lost_with_automatic_ends()
    {
        Initialize(masterIcw4: 0x03, slaveIcw4: 0x03);
        Line(12).Set(true);
        Line(13).Set(true);
        Line(14).Set(true);
        Assert.That(new[] { _machine.Cpu.Acknowledge(), _machine.Cpu.Acknowledge(), _machine.Cpu.Acknowledge() }, Is.EqualTo(new[] { 0x3C, 0x3D, 0x3E }));
        Assert.That(_machine.Cpu.IsInterruptRequested, Is.False);
    }

    [Test]
    public void An_acknowledge_without_a_request_gives_interrupt_7()
    {
        Initialize();
        Assert.That(_pics.Acknowledge(), Is.EqualTo(0x37));
        Assert.That(Read(Master, 0x0B), Is.Zero);
    }

    [Test]
    public void An_interrupt_that_goes_away_takes_its_request_along()
    {
        Initialize();
        Line(12).Set(true);
        Assert.That(_machine.Cpu.IsInterruptRequested, Is.True);
        Line(12).Set(false);
        Assert.That(_machine.Cpu.IsInterruptRequested, Is.False);
        Assert.That(_pics.Acknowledge(), Is.EqualTo(0x37));
    }

    [Test]
    public void A_poll_of_the_master_leads_to_the_slave()
    {
        Initialize();
        Line(14).Set(true);
        _machine.Out(Master, 0x0C);
        Assert.That(_machine.In(Master), Is.EqualTo(0x82));
        _machine.Out(Slave, 0x0C);
        Assert.That(_machine.In(Slave), Is.EqualTo(0x86));
        Assert.That(_machine.Cpu.IsInterruptRequested, Is.False);
    }

    [Test]
    public void When_the_slave_was_polled_first_the_masters_request_goes_away()
    {
        Initialize();
        Line(14).Set(true);
        _machine.Out(Slave, 0x0C);
        Assert.That(_machine.In(Slave), Is.EqualTo(0x86));
        Assert.That(_machine.Cpu.IsInterruptRequested, Is.False);
    }

    [Test]
    public void The_trigger_modes_are_two_registers()
    {
        Assert.That(_machine.RealBus.ReadPort(_machine.Cpu, TriggerModes, 2), Is.EqualTo(0x0E00), "those of ACPI and PCI are levels");
        _machine.RealBus.WritePort(_machine.Cpu, TriggerModes, 2, 0xFFFF);
        Assert.That(_machine.RealBus.ReadPort(_machine.Cpu, TriggerModes, 2), Is.EqualTo(0xDEF8));
        _machine.Out(TriggerModes + 1, 0x02);
        Assert.That(_machine.In(TriggerModes), Is.EqualTo(0xF8));
        Assert.That(_machine.In(TriggerModes + 1), Is.EqualTo(0x02));
        _machine.Out(TriggerModes, 0);
        Assert.That(_machine.RealBus.ReadPort(_machine.Cpu, TriggerModes, 2), Is.EqualTo(0x0200));
    }

    [Test]
    public void A_level_interrupts_again_after_its_end()
    {
        Initialize();
        Line(10).Set(true);
        Assert.That(_machine.Cpu.Acknowledge(), Is.EqualTo(0x3A));
        End();
        Assert.That(_machine.Cpu.Acknowledge(), Is.EqualTo(0x3A));
        Line(10).Set(false);
        End();
        Assert.That(_machine.Cpu.IsInterruptRequested, Is.False);
    }

    [TestCase(16, 10)]
    [TestCase(17, 11)]
    [TestCase(23, 11)]
    public void Pci_interrupts_share_two_interrupts(int number, int interrupt)
    {
        Initialize();
        Line(number).Set(true);
        Line(interrupt).Set(true);
        Assert.That(_machine.Cpu.Acknowledge(), Is.EqualTo(0x30 + interrupt));
        Line(number).Set(false);
        End();
        Assert.That(_machine.Cpu.Acknowledge(), Is.EqualTo(0x30 + interrupt), "the other one asserts it still");
        Line(interrupt).Set(false);
        End();
        Assert.That(_machine.Cpu.IsInterruptRequested, Is.False);
    }

    [Test]
    public void A_word_goes_to_both_ports()
    {
        Initialize();
        _machine.RealBus.WritePort(_machine.Cpu, Master, 2, 0x5A0B);
        Line(3).Set(true);
        Assert.That(_machine.RealBus.ReadPort(_machine.Cpu, Master, 2), Is.EqualTo(0x5A00));
    }

    [Test]
    public void The_local_apic_masks_it()
    {
        Initialize();
        Line(3).Set(true);
        _machine.Write32(Lint0, External | Masked);
        Assert.That(_machine.Cpu.IsInterruptRequested, Is.False);
        _machine.Write32(Lint0, External);
        Assert.That(_machine.Cpu.Acknowledge(), Is.EqualTo(0x33));
    }

    [Test]
    public void Switching_the_local_apic_off_by_software_masks_it()
    {
        Initialize();
        Line(3).Set(true);
        _machine.Write32(SpuriousVector, 0xFF);
        Assert.That(_machine.Cpu.IsInterruptRequested, Is.False);
        _machine.Write32(SpuriousVector, 0x1FF);
        Assert.That(_machine.Cpu.IsInterruptRequested, Is.False, "the local vector stays masked");
    }

    [Test]
    public void Without_the_local_apic_it_is_wired_to_the_processor()
    {
        Initialize();
        _machine.Write32(Lint0, External | Masked);
        Line(3).Set(true);
        Assert.That(_machine.Cpu.IsInterruptRequested, Is.False);
        _machine.WriteMsr(0x1B, 0xFEE0_0100);
        Assert.That(_machine.Cpu.Acknowledge(), Is.EqualTo(0x33));
        End();
        _machine.WriteMsr(0x1B, 0xFEE0_0900);
        Line(4).Set(true);
        Assert.That(_machine.Cpu.IsInterruptRequested, Is.False, "after that the APIC is as after power-up, and masks it");
    }

    [Test]
    public void The_task_priority_does_not_hold_it_up()
    {
        Initialize();
        _machine.Cpu.LocalApic!.TaskPriority = 15;
        Line(3).Set(true);
        Assert.That(_machine.Cpu.Acknowledge(), Is.EqualTo(0x33));
        Assert.That(_machine.Read32(0xFEE0_0110), Is.Zero, "it is not in service in the local APIC");
    }

    [Test]
    public void The_local_apics_own_interrupts_follow()
    {
        Initialize();
        _wires.SendMessage(0xFEE0_0000, 0x91);
        Line(3).Set(true);
        Assert.That(_machine.Cpu.Acknowledge(), Is.EqualTo(0x33));
        Assert.That(_machine.Cpu.Acknowledge(), Is.EqualTo(0x91));
        _machine.Write32(LocalEnd, 0);
        Assert.That(_machine.Cpu.IsInterruptRequested, Is.False);
    }

    [Test]
    public void The_pin_can_be_a_fixed_interrupt_of_the_local_apic()
    {
        Initialize(masterIcw4: 0x03);
        _machine.Write32(Lint0, 0x81);
        Line(3).Set(true);
        Assert.That(_machine.Cpu.Acknowledge(), Is.EqualTo(0x81));
        Assert.That(_machine.Cpu.IsInterruptRequested, Is.False);
    }

    [Test]
    public void The_pin_can_be_a_non_maskable_interrupt()
    {
        Initialize();
        _machine.Write32(Lint0, 0x400);
        Line(3).Set(true);
        Assert.That(_machine.Cpu.NmiCount, Is.EqualTo(1));
        Assert.That(_machine.Cpu.IsInterruptRequested, Is.False);
    }

    [Test]
    public void Only_the_boot_processor_has_it()
    {
        var machine = new FakeMachine(processors: 2);
        var apics = new LocalApics(new ApicBus());
        machine.Plug(apics);
        var pics = new PicPair(apics);
        machine.Plug(pics);
        machine.Out(Master + 1, 0);
        machine.WriteMsr(0x1B, 0xFEE0_0000, processor: 1);
        pics.SetLine(1, true);
        Assert.That(machine.Cpus.ConvertAll(cpu => cpu.IsInterruptRequested), Is.EqualTo(new[] { true, false }));
    }

    private IInterruptLine Line(int number) => _lines.TryGetValue(number, out var line) ? line : _lines[number] = _wires.GetLine("test", number);

    private readonly Dictionary<int, IInterruptLine> _lines = [];

    private byte Read(ushort port, byte command)
    {
        _machine.Out(port, command);
        return _machine.In(port);
    }

    private void End()
    {
        _machine.Out(Slave, EndOfInterrupt);
        _machine.Out(Master, EndOfInterrupt);
    }

    private void Initialize(byte masterIcw4 = 1, byte slaveIcw4 = 1)
    {
        foreach (var (port, words) in new (ushort, byte[])[] { (Master, [0x30, 4, masterIcw4, 0]), (Slave, [0x38, 2, slaveIcw4, 0]) })
        {
            _machine.Out(port, 0x11);
            Array.ForEach(words, word => _machine.Out((ushort)(port + 1), word));
        }
    }
}
