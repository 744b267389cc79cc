using Uml.Core.Bus;
using Uml.Devices.Interrupts;
using Uml.Devices.Tests.Fakes;

namespace Uml.Devices.Tests.Interrupts;

internal sealed class IoApicTests
{
    private const ulong Base = 0xFEC0_0000;
    private const uint Level = 1 << 15;
    private const uint Masked = 1 << 16;
    private const uint RemoteIrr = 1 << 14;

    private readonly FakeMachine _machine = new();
    private readonly InterruptWires _wires;
    private readonly IInterruptLine[] _lines;

    public IoApicTests()
    {
        var bus = new ApicBus();
        var ioApic = new IoApic(bus);
        var apics = new LocalApics(bus);
        _machine.Plug(apics);
        _machine.Plug(ioApic);
        _wires = new InterruptWires(bus, ioApic, new PicPair(apics));
        _lines = [.. Enumerable.Range(0, IoApic.InputCount).Select(number => _wires.GetLine("test", number))];
        _machine.WriteMsr(0x1B, 0xFEE0_0D00);
        _machine.WriteMsr(0x80F, 0x1FF);
    }

    [Test]
    public void It_says_that_it_has_24_inputs_and_an_eoi_register() => Assert.That(Read(1), Is.EqualTo(0x0017_0020));

    [Test]
    public void All_inputs_are_masked_at_first()
    {
        for (int i = 0; i < 24; i++)
        {
            Assert.That(Read(0x10 + (2 * i)), Is.EqualTo(Masked));
            Line(i).Set(true);
        }

        Assert.That(_machine.Cpu.IsInterruptRequested, Is.False);
    }

    [TestCase(-1)]
    [TestCase(24)]
    [TestCase(int.MaxValue)]
    public void There_are_no_other_inputs(int number) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => _wires.GetLine("test", number));

    [TestCase(0x00, 0x0F00_0000u)]
    [TestCase(0x10, 0x0001_AFFFu)]
    [TestCase(0x11, 0xFF00_0000u)]
    [TestCase(0x3F, 0xFF00_0000u)]
    [TestCase(0x01, 0x0017_0020u)]
    [TestCase(0x40, 0u)]
    [TestCase(0xFF, 0u)]
    public void Registers_hold_their_writable_bits_only(int index, uint expected)
    {
        Write(index, uint.MaxValue);
        Assert.That(Read(index), Is.EqualTo(expected));
        Assert.That(_machine.Read32(Base), Is.EqualTo((uint)index));
    }

    [Test]
    public void An_edge_delivers_once_for_each_rise()
    {
        Write(0x18, 0x41);
        Line(4).Set(true);
        Assert.That(Take(), Is.EqualTo(0x41));
        Line(4).Set(true);
        Assert.That(Take(), Is.EqualTo(-1));
        Line(4).Set(false);
        Assert.That(Take(), Is.EqualTo(-1));
        Line(4).Set(true);
        Assert.That(Take(), Is.EqualTo(0x41));
    }

    [Test]
    public void An_edge_while_masked_is_lost()
    {
        Write(0x18, 0x41 | Masked);
        Line(4).Set(true);
        Write(0x18, 0x41);
        Assert.That(Take(), Is.EqualTo(-1));
    }

    [Test]
    public void A_level_delivers_again_after_each_end_of_interrupt()
    {
        Write(0x30, 0x51 | Level);
        Line(16).Set(true);
        Assert.That(Read(0x30), Is.EqualTo(0x51 | Level | RemoteIrr));
        Assert.That(Take(), Is.EqualTo(0x51));
        Assert.That(Take(), Is.EqualTo(0x51), "still asserted");
        Assert.That(_machine.Cpu.Acknowledge(), Is.EqualTo(0x51));
        Line(16).Set(false);
        _machine.WriteMsr(0x80B, 0);
        Assert.That(Read(0x30), Is.EqualTo(0x51 | Level));
        Assert.That(Take(), Is.EqualTo(-1));
    }

    [Test]
    public void A_level_waits_for_the_mask_to_go()
    {
        Line(16).Set(true);
        Write(0x30, 0x51 | Level | Masked);
        Assert.That(Take(), Is.EqualTo(-1));
        Write(0x30, 0x51 | Level);
        Assert.That(Take(), Is.EqualTo(0x51));
    }

    [Test]
    public void Lines_that_share_an_input_assert_it_together()
    {
        var other = _wires.GetLine("test", 16);
        Write(0x30, 0x51 | Level);
        Line(16).Set(true);
        other.Set(true);
        Line(16).Set(false);
        Assert.That(Take(), Is.EqualTo(0x51));
        Assert.That(_machine.Cpu.Acknowledge(), Is.EqualTo(0x51), "the other still asserts");
        other.Set(false);
        other.Set(false);
        _machine.WriteMsr(0x80B, 0);
        Assert.That(Take(), Is.EqualTo(-1));
        Line(16).Set(true);
        Assert.That(Take(), Is.EqualTo(0x51));
    }

    [Test]
    public void The_eoi_register_ends_all_levels_of_a_vector()
    {
        Write(0x30, 0x51 | Level);
        Write(0x32, 0x51 | Level);
        Write(0x34, 0x52 | Level);
        Line(16).Set(true);
        Line(17).Set(true);
        Line(18).Set(true);
        Line(16).Set(false);
        Line(17).Set(false);
        _machine.Write32(Base + 0x40, 0x51);
        Assert.That(Read(0x30) & RemoteIrr, Is.Zero);
        Assert.That(Read(0x32) & RemoteIrr, Is.Zero);
        Assert.That(Read(0x34) & RemoteIrr, Is.EqualTo(RemoteIrr));
    }

    [Test]
    public void A_visit_to_edge_mode_clears_remote_irr()
    {
        Write(0x30, 0x51 | Level);
        Line(16).Set(true);
        Line(16).Set(false);
        Write(0x30, 0x51 | Masked);
        Write(0x30, 0x51 | Level);
        Assert.That(Read(0x30), Is.EqualTo(0x51 | Level));
    }

    [Test]
    public void A_level_that_nobody_accepts_is_not_pending()
    {
        Write(0x31, 0x0700_0000);
        Write(0x30, 0x51 | Level);
        Line(16).Set(true);
        Assert.That(Read(0x30) & RemoteIrr, Is.Zero);
        Write(0x31, 0);
        Assert.That(Take(), Is.EqualTo(0x51));
    }

    [Test]
    public void Logical_destinations_reach_an_x2apic_in_cluster_zero()
    {
        Write(0x19, 0x0100_0000);
        Write(0x18, 0x841);
        Line(4).Set(true);
        Assert.That(Take(), Is.EqualTo(0x41));
    }

    [Test]
    public void An_input_can_raise_a_non_maskable_interrupt()
    {
        Write(0x18, 0x400);
        Line(4).Set(true);
        Assert.That(_machine.Cpu.NmiCount, Is.EqualTo(1));
    }

    [TestCase(0xFEE0_0000UL, 0x0041u, 0x41)]
    [TestCase(0xFEEF_F000UL, 0x0041u, 0x41)]
    [TestCase(0xFEE0_1004UL, 0x0041u, 0x41)]
    [TestCase(0xFEE0_1000UL, 0x0041u, -1)]
    [TestCase(0xFEE0_100CUL, 0x0141u, 0x41)]
    [TestCase(0xFED0_0000UL, 0x0041u, -1)]
    [TestCase(0x1_FEE0_0000UL, 0x0041u, -1)]
    [TestCase(0xFEE0_0000UL, 0x0005u, -1)]
    public void Messages_are_decoded(ulong address, uint data, int expected)
    {
        _wires.SendMessage(address, data);
        Assert.That(Take(), Is.EqualTo(expected));
    }

    private IInterruptLine Line(int number) => _lines[number];

    private uint Read(int index)
    {
        _machine.Write32(Base, (uint)index);
        return _machine.Read32(Base + 0x10);
    }

    private void Write(int index, uint value)
    {
        _machine.Write32(Base, (uint)index);
        _machine.Write32(Base + 0x10, value);
    }

    private int Take()
    {
        int vector = _machine.Cpu.Acknowledge();
        if (vector >= 0)
        {
            _machine.WriteMsr(0x80B, 0);
        }

        return vector;
    }
}
