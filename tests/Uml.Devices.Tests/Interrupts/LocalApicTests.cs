using Uml.Devices.Interrupts;
using Uml.Devices.Tests.Fakes;

namespace Uml.Devices.Tests.Interrupts;

/// <summary>The local APIC through its memory-mapped registers, except where a mode has its own tests.</summary>
internal sealed class LocalApicTests
{
    private const ulong Base = 0xFEE0_0000;
    private const uint Id = 0x20;
    private const uint Version = 0x30;
    private const uint Tpr = 0x80;
    private const uint Ppr = 0xA0;
    private const uint Eoi = 0xB0;
    private const uint Ldr = 0xD0;
    private const uint Dfr = 0xE0;
    private const uint Svr = 0xF0;
    private const uint Isr = 0x100;
    private const uint Tmr = 0x180;
    private const uint Irr = 0x200;
    private const uint Esr = 0x280;
    private const uint Icr = 0x300;
    private const uint IcrHigh = 0x310;
    private const uint LvtLint0 = 0x350;
    private const uint LvtError = 0x370;

    private const uint SelfShorthand = 1 << 18;

    private readonly FakeMachine _machine = new();
    private readonly ApicBus _bus = new();
    private readonly List<byte> _completed = [];

    [SetUp]
    public void Attach()
    {
        _machine.Plug(new LocalApics(_bus));
        _bus.EndOfInterrupt += _completed.Add;
        Write(Svr, 0x1FF);
    }

    [Test]
    public void After_power_up_it_is_on_but_switched_off_by_software()
    {
        var machine = new FakeMachine();
        machine.Plug(new LocalApics(new ApicBus()));
        Assert.Multiple(() =>
        {
            Assert.That(machine.ReadMsr(0x1B), Is.EqualTo(0xFEE0_0900));
            Assert.That(machine.Read32(Base + Svr), Is.EqualTo(0xFF));
            Assert.That(machine.Read32(Base + Dfr), Is.EqualTo(0xFFFF_FFFF));
            Assert.That(machine.Read32(Base + LvtLint0), Is.EqualTo(0x1_0000));
            Assert.That(machine.Read32(Base + Version), Is.EqualTo(0x0105_0014));
            Assert.That(machine.Cpu.LocalApic!.IsEnabled, Is.True);
        });
    }

    [Test]
    public void An_interrupt_goes_from_requested_to_in_service_to_done()
    {
        Send(0x31);
        Assert.That(Bit(Irr, 0x31), Is.True);
        Assert.That(_machine.Cpu.IsInterruptRequested, Is.True);
        Assert.That(_machine.Cpu.Acknowledge(), Is.EqualTo(0x31));
        Assert.That(Bit(Irr, 0x31), Is.False);
        Assert.That(Bit(Isr, 0x31), Is.True);
        Assert.That(_machine.Cpu.IsInterruptRequested, Is.False);
        Assert.That(Read(Ppr), Is.EqualTo(0x30));
        Write(Eoi, 0);
        Assert.That(Bit(Isr, 0x31), Is.False);
        Assert.That(Read(Ppr), Is.Zero);
    }

    [Test]
    public void Higher_vectors_come_first_and_interrupt_lower_ones()
    {
        Send(0x31);
        Send(0x52);
        Send(0x51);
        Assert.That(_machine.Cpu.Acknowledge(), Is.EqualTo(0x52));
        Assert.That(_machine.Cpu.IsInterruptRequested, Is.False, "same class");
        Send(0x61);
        Assert.That(_machine.Cpu.Acknowledge(), Is.EqualTo(0x61));
        Write(Eoi, 0);
        Assert.That(Bit(Isr, 0x61), Is.False);
        Assert.That(Bit(Isr, 0x52), Is.True);
        Write(Eoi, 0);
        Assert.That(_machine.Cpu.Acknowledge(), Is.EqualTo(0x51));
        Write(Eoi, 0);
        Assert.That(_machine.Cpu.Acknowledge(), Is.EqualTo(0x31));
    }

    [Test]
    public void Acknowledging_without_a_request_gives_no_vector()
    {
        Assert.That(_machine.Cpu.LocalApic!.AcknowledgeInterrupt(), Is.EqualTo(-1));
        Send(0x31);
        Write(Tpr, 0x30);
        Assert.That(_machine.Cpu.LocalApic!.AcknowledgeInterrupt(), Is.EqualTo(-1));
        Assert.That(Bit(Irr, 0x31), Is.True);
    }

    [Test]
    public void End_of_interrupt_without_one_does_nothing()
    {
        Write(Eoi, 0);
        Assert.That(_completed, Is.Empty);
    }

    [TestCase(0x20u, true)]
    [TestCase(0x2Fu, true)]
    [TestCase(0x30u, false)]
    [TestCase(0xF0u, false)]
    public void Task_priority_holds_back_its_own_and_lower_classes(uint priority, bool delivers)
    {
        Write(Tpr, priority);
        Send(0x3F);
        Assert.That(_machine.Cpu.IsInterruptRequested, Is.EqualTo(delivers));
        Write(Tpr, 0);
        Assert.That(_machine.Cpu.IsInterruptRequested, Is.True);
    }

    [Test]
    public void Cr8_is_the_class_of_the_task_priority()
    {
        var apic = _machine.Cpu.LocalApic!;
        apic.TaskPriority = 5;
        Assert.That(Read(Tpr), Is.EqualTo(0x50));
        Write(Tpr, 0xA7);
        Assert.That(apic.TaskPriority, Is.EqualTo(0xA));
        Send(0x61);
        Assert.That(_machine.Cpu.IsInterruptRequested, Is.False);
        apic.TaskPriority = 0;
        Assert.That(_machine.Cpu.IsInterruptRequested, Is.True);
    }

    [TestCase(0x45u, 0x31, 0x45u)]
    [TestCase(0x31u, 0x52, 0x50u)]
    [TestCase(0x00u, 0x52, 0x50u)]
    public void Processor_priority_is_the_higher_of_task_and_service(uint taskPriority, byte vector, uint expected)
    {
        Send(vector);
        _machine.Cpu.Acknowledge();
        Write(Tpr, taskPriority);
        Assert.That(Read(Ppr), Is.EqualTo(expected));
    }

    [Test]
    public void Every_legal_vector_is_delivered()
    {
        for (int vector = 16; vector < 256; vector++)
        {
            Send((byte)vector);
            Assert.That(_machine.Cpu.Acknowledge(), Is.EqualTo(vector));
            Write(Eoi, 0);
        }
    }

    [Test]
    public void Switched_off_by_software_it_takes_no_interrupts_and_masks_its_sources()
    {
        Write(LvtLint0, 0x31);
        Write(Svr, 0xFF);
        Send(0x31);
        Assert.That(_machine.Cpu.IsInterruptRequested, Is.False);
        Assert.That(Read(LvtLint0), Is.EqualTo(0x1_0031));
        Write(LvtLint0, 0x32);
        Assert.That(Read(LvtLint0), Is.EqualTo(0x1_0032));
        Write(Svr, 0x1FF);
        Write(LvtLint0, 0x32);
        Assert.That(Read(LvtLint0), Is.EqualTo(0x32));
    }

    [Test]
    public void Level_triggered_interrupts_are_marked_and_their_end_is_broadcast()
    {
        _bus.Deliver(new ApicMessage(0, false, false, DeliveryMode.Fixed, 0x41, IsLevelTriggered: true));
        Assert.That(Bit(Tmr, 0x41), Is.True);
        _machine.Cpu.Acknowledge();
        Write(Eoi, 0);
        Assert.That(_completed, Is.EqualTo(new byte[] { 0x41 }));

        Send(0x41);
        Assert.That(Bit(Tmr, 0x41), Is.False);
        _machine.Cpu.Acknowledge();
        Write(Eoi, 0);
        Assert.That(_completed, Has.Count.EqualTo(1));
    }

    [Test]
    public void Broadcasts_of_the_end_can_be_suppressed()
    {
        Write(Svr, 0x11FF);
        Assert.That(Read(Svr), Is.EqualTo(0x11FF));
        _bus.Deliver(new ApicMessage(0, false, false, DeliveryMode.Fixed, 0x41, IsLevelTriggered: true));
        _machine.Cpu.Acknowledge();
        Write(Eoi, 0);
        Assert.That(_completed, Is.Empty);
    }

    [Test]
    public void Sending_a_vector_below_16_is_an_error_that_interrupts_once()
    {
        Write(LvtError, 0xFE);
        Send(0x05);
        Assert.That(_machine.Cpu.Acknowledge(), Is.EqualTo(0xFE));
        Write(Eoi, 0);
        Assert.That(Read(Esr), Is.Zero, "latched by a write only");
        Send(0x05);
        Assert.That(_machine.Cpu.IsInterruptRequested, Is.False);
        Write(Esr, 0);
        Assert.That(Read(Esr), Is.EqualTo(0x20));
        Write(Esr, 0);
        Assert.That(Read(Esr), Is.Zero);
        Send(0x05);
        Assert.That(_machine.Cpu.Acknowledge(), Is.EqualTo(0xFE));
    }

    [Test]
    public void Receiving_a_vector_below_16_is_an_error_even_for_the_error_vector()
    {
        Write(LvtError, 0x03);
        _bus.Deliver(new ApicMessage(0, false, false, DeliveryMode.Fixed, 0x0F, IsLevelTriggered: false));
        Write(Esr, 0);
        Assert.That(Read(Esr), Is.EqualTo(0x40));
        Assert.That(_machine.Cpu.IsInterruptRequested, Is.False);
    }

    [TestCase(0x000u)]
    [TestCase(0x040u)]
    [TestCase(0x2F0u)]
    [TestCase(0x3A0u)]
    [TestCase(0x3F0u)]
    [TestCase(0xFF0u)]
    public void A_register_that_does_not_exist_is_an_error(uint register)
    {
        Assert.That(Read(register), Is.Zero);
        Write(Esr, 0);
        Assert.That(Read(Esr), Is.EqualTo(0x80));
        Write(register, 1);
        Write(Esr, 0);
        Assert.That(Read(Esr), Is.EqualTo(0x80));
    }

    [Test]
    public void Non_maskable_interrupts_reach_the_processor_without_a_vector()
    {
        Write(Icr, SelfShorthand | (4 << 8));
        Assert.That(_machine.Cpu.NmiCount, Is.EqualTo(1));
        Assert.That(_machine.Cpu.IsInterruptRequested, Is.False);
        _bus.Deliver(new ApicMessage(0xFF, false, false, DeliveryMode.Nmi, 2, IsLevelTriggered: false));
        Assert.That(_machine.Cpu.NmiCount, Is.EqualTo(2));
    }

    [TestCase(0x0000_0500u)]
    [TestCase(0x0000_8500u)]
    [TestCase(0x0000_4600u)]
    [TestCase(0x0008_4500u)]
    [TestCase(0x000C_4600u)]
    [TestCase(0x0000_0200u)]
    [TestCase(0x0000_0300u)]
    [TestCase(0x0000_0700u)]
    public void Other_delivery_modes_change_nothing(uint command)
    {
        Write(IcrHigh, 0x0100_0000);
        Write(Icr, command);
        Write(IcrHigh, 0);
        Write(Icr, command);
        Assert.That(_machine.Cpu.IsInterruptRequested, Is.False);
        Assert.That(_machine.Cpu.NmiCount, Is.Zero);
        Assert.That(Read(Icr) & 0x1000, Is.Zero, "idle");
    }

    [TestCase(0x00u, 0x0000_0031u, true)]
    [TestCase(0x01u, 0x0000_0031u, false)]
    [TestCase(0xFFu, 0x0000_0031u, true)]
    [TestCase(0x01u, 0x0004_0031u, true)]
    [TestCase(0x01u, 0x0008_0031u, true)]
    [TestCase(0x00u, 0x000C_0031u, false)]
    [TestCase(0x01u, 0x0000_0831u, true)]
    [TestCase(0x03u, 0x0000_0931u, true)]
    [TestCase(0x02u, 0x0000_0831u, false)]
    public void Commands_reach_their_destinations(uint destination, uint command, bool arrives)
    {
        Write(Ldr, 0x0100_0000);
        Write(IcrHigh, destination << 24);
        Write(Icr, command);
        Assert.That(_machine.Cpu.Acknowledge(), Is.EqualTo(arrives ? 0x31 : -1));
    }

    [TestCase(0x21u, true)]
    [TestCase(0x23u, true)]
    [TestCase(0xF1u, true)]
    [TestCase(0x31u, false)]
    [TestCase(0x22u, false)]
    public void The_cluster_model_matches_cluster_and_flags(uint destination, bool arrives)
    {
        Write(Dfr, 0);
        Write(Ldr, 0x2100_0000);
        Write(IcrHigh, destination << 24);
        Write(Icr, 0x831);
        Assert.That(_machine.Cpu.Acknowledge(), Is.EqualTo(arrives ? 0x31 : -1));
    }

    [Test]
    public void The_id_can_be_changed_in_xapic_mode()
    {
        Write(Id, 0x0500_0000);
        Assert.That(Read(Id), Is.EqualTo(0x0500_0000));
        Write(IcrHigh, 0x0500_0000);
        Write(Icr, 0x31);
        Assert.That(_machine.Cpu.Acknowledge(), Is.EqualTo(0x31));
    }

    [TestCase(0x320u, 0x7_00FFu)]
    [TestCase(0x330u, 0x1_07FFu)]
    [TestCase(0x340u, 0x1_07FFu)]
    [TestCase(0x350u, 0x1_A7FFu)]
    [TestCase(0x360u, 0x1_A7FFu)]
    [TestCase(0x370u, 0x1_00FFu)]
    [TestCase(0x3E0u, 0x0_000Bu)]
    [TestCase(0x0D0u, 0xFF00_0000u)]
    [TestCase(0x0F0u, 0x0000_13FFu)]
    [TestCase(0x310u, 0xFF00_0000u)]
    public void Registers_hold_their_writable_bits_only(uint register, uint mask)
    {
        Write(register, uint.MaxValue);
        Assert.That(Read(register), Is.EqualTo(mask));
    }

    [Test]
    public void Only_aligned_doublewords_write_and_parts_can_be_read()
    {
        _machine.RealBus.WriteMemory(_machine.Cpu, Base + Tpr, 1, 0x50);
        _machine.RealBus.WriteMemory(_machine.Cpu, Base + Tpr, 8, 0x50);
        _machine.RealBus.WriteMemory(_machine.Cpu, Base + Tpr + 4, 4, 0x50);
        Assert.That(Read(Tpr), Is.Zero);
        Assert.That(_machine.RealBus.ReadMemory(_machine.Cpu, Base + Version + 2, 1), Is.EqualTo(0x05));
        Assert.That(_machine.RealBus.ReadMemory(_machine.Cpu, Base + Version + 4, 4), Is.Zero);
    }

    [Test]
    public void Each_processor_finds_its_own_in_the_window_and_interrupts_others_through_it()
    {
        var machine = new FakeMachine(processors: 2);
        new LocalApics(new ApicBus()).Attach(machine);
        Assert.That(new[] { machine.Read32(Base + Id, 0), machine.Read32(Base + Id, 1) }, Is.EqualTo(new[] { 0u, 1u << 24 }));
        machine.Write32(Base + Svr, 0x1FF, 0);
        machine.Write32(Base + Svr, 0x1FF, 1);
        machine.Write32(Base + IcrHigh, 0, 1);
        machine.Write32(Base + Icr, 0x31, 1);
        Assert.That(machine.Cpus.Select(c => c.Acknowledge()), Is.EqualTo(new[] { 0x31, -1 }));
    }

    [Test]
    public void Lowest_priority_goes_to_the_least_busy_processor()
    {
        var machine = new FakeMachine(processors: 3);
        var bus = new ApicBus();
        machine.Plug(new LocalApics(bus));
        for (int i = 0; i < 3; i++)
        {
            machine.WriteMsr(0x1B, machine.ReadMsr(0x1B, i) | 0xC00, i);
            machine.WriteMsr(0x80F, 0x1FF, i);
            machine.Cpus[i].LocalApic!.TaskPriority = (byte)(3 - i);
        }

        Assert.That(bus.Deliver(new ApicMessage(0xFF, false, false, DeliveryMode.LowestPriority, 0x61, false)), Is.True);
        Assert.That(machine.Cpus.Select(c => c.Acknowledge()), Is.EqualTo(new[] { -1, -1, 0x61 }));
    }

    private uint Read(uint register) => _machine.Read32(Base + register);

    private void Write(uint register, uint value) => _machine.Write32(Base + register, value);

    private void Send(byte vector) => Write(Icr, SelfShorthand | vector);

    private bool Bit(uint bank, int vector) => (Read(bank + ((uint)vector / 32 * 16)) & (1u << (vector % 32))) != 0;
}
