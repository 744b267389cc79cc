using Uml.Devices.Interrupts;
using Uml.Devices.Tests.Fakes;

namespace Uml.Devices.Tests.Interrupts;

internal sealed class X2ApicTests
{
    private const uint BaseMsr = 0x1B;
    private const ulong Off = 0xFEE0_0100;
    private const ulong XApic = 0xFEE0_0900;
    private const ulong X2Apic = 0xFEE0_0D00;
    private const ulong Invalid = 0xFEE0_0500;

    private readonly FakeMachine _machine = new(processors: 20);

    [SetUp]
    public void Attach()
    {
        _machine.Plug(new LocalApics(new ApicBus()));
        for (int i = 0; i < 20; i++)
        {
            ulong boot = i == 0 ? 0u : 0x100u;
            _machine.WriteMsr(BaseMsr, X2Apic - boot, i);
            _machine.WriteMsr(0x80F, 0x1FF, i);
        }
    }

    [TestCase(Off, Off, true)]
    [TestCase(Off, XApic, true)]
    [TestCase(Off, X2Apic, false)]
    [TestCase(Off, Invalid, false)]
    [TestCase(XApic, Off, true)]
    [TestCase(XApic, XApic, true)]
    [TestCase(XApic, X2Apic, true)]
    [TestCase(XApic, Invalid, false)]
    [TestCase(X2Apic, Off, true)]
    [TestCase(X2Apic, XApic, false)]
    [TestCase(X2Apic, X2Apic, true)]
    [TestCase(X2Apic, Invalid, false)]
    [TestCase(XApic, XApic | 1, false)]
    [TestCase(XApic, XApic | (1 << 9), false)]
    [TestCase(XApic, XApic | (1UL << 52), false)]
    [TestCase(XApic, 0xFEF0_0900UL, false)]
    public void Modes_change_as_the_manual_allows(ulong from, ulong to, bool isAllowed)
    {
        _machine.WriteMsr(BaseMsr, Off);
        if (from != Off)
        {
            _machine.WriteMsr(BaseMsr, XApic);
            _machine.WriteMsr(BaseMsr, from);
        }

        Assert.That(_machine.RealBus.TryWriteMsr(_machine.Cpu, BaseMsr, to), Is.EqualTo(isAllowed));
        Assert.That(_machine.ReadMsr(BaseMsr), Is.EqualTo(isAllowed ? to : from));
    }

    [Test]
    public void Switching_off_resets_and_hides_everything()
    {
        _machine.WriteMsr(0x808, 0x20);
        _machine.WriteMsr(0x83F, 0x41);
        Assert.That(_machine.Cpu.IsInterruptRequested, Is.True);
        _machine.WriteMsr(BaseMsr, Off);
        Assert.That(_machine.Cpu.IsInterruptRequested, Is.False);
        Assert.That(_machine.Cpu.LocalApic!.IsEnabled, Is.False);
        Assert.That(_machine.Read32(0xFEE0_0030), Is.EqualTo(uint.MaxValue));
        Assert.That(_machine.RealBus.TryReadMsr(_machine.Cpu, 0x803, out _), Is.False);
        _machine.WriteMsr(BaseMsr, XApic);
        Assert.That(_machine.Read32(0xFEE0_0080), Is.Zero);
        Assert.That(_machine.Read32(0xFEE0_00F0), Is.EqualTo(0xFF));
    }

    [Test]
    public void Each_mode_has_its_own_door_only()
    {
        Assert.That(_machine.Read32(0xFEE0_0030), Is.EqualTo(uint.MaxValue));
        _machine.Write32(0xFEE0_0080, 0x50);
        Assert.That(_machine.ReadMsr(0x808), Is.Zero);
        _machine.WriteMsr(BaseMsr, Off);
        _machine.WriteMsr(BaseMsr, XApic);
        for (uint msr = 0x800; msr < 0x900; msr++)
        {
            Assert.That(_machine.RealBus.TryReadMsr(_machine.Cpu, msr, out _), Is.False);
            Assert.That(_machine.RealBus.TryWriteMsr(_machine.Cpu, msr, 0), Is.False);
        }
    }

    [TestCase(0, 0x0000_0001u)]
    [TestCase(5, 0x0000_0020u)]
    [TestCase(15, 0x0000_8000u)]
    [TestCase(16, 0x0001_0001u)]
    [TestCase(19, 0x0001_0008u)]
    public void The_logical_destination_follows_from_the_id(int processor, uint expected)
    {
        Assert.That(_machine.ReadMsr(0x802, processor), Is.EqualTo((ulong)processor));
        Assert.That(_machine.ReadMsr(0x80D, processor), Is.EqualTo(expected));
    }

    [Test]
    public void Exactly_the_registers_of_the_manual_can_be_read()
    {
        var readable = Enumerable.Range(0, 0x100).Where(r => _machine.RealBus.TryReadMsr(_machine.Cpu, (uint)(0x800 + r), out _));
        int[] expected =
        [
            0x02, 0x03, 0x08, 0x0A, 0x0D, 0x0F, .. Enumerable.Range(0x10, 24), 0x28, 0x30, .. Enumerable.Range(0x32, 8), 0x3E,
        ];
        Assert.That(readable, Is.EqualTo(expected));
    }

    [Test]
    public void Exactly_the_registers_of_the_manual_can_be_written()
    {
        var writable = Enumerable.Range(0, 0x100).Where(r => _machine.RealBus.TryWriteMsr(_machine.Cpu, (uint)(0x800 + r), 0));
        int[] expected = [0x08, 0x0B, 0x0F, 0x28, 0x30, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x3E, 0x3F];
        Assert.That(writable, Is.EqualTo(expected));
    }

    [TestCase(0x808u, 0x1_00UL)]
    [TestCase(0x80Bu, 1UL)]
    [TestCase(0x80Fu, 0x2000UL)]
    [TestCase(0x80Fu, 0x400UL)]
    [TestCase(0x828u, 1UL)]
    [TestCase(0x830u, 0x2000UL)]
    [TestCase(0x830u, 0x1_0000UL)]
    [TestCase(0x830u, 0x10_0000UL)]
    [TestCase(0x832u, 0x8_0000UL)]
    [TestCase(0x832u, 0x100UL)]
    [TestCase(0x833u, 0x800UL)]
    [TestCase(0x835u, 0x800UL)]
    [TestCase(0x837u, 0x100UL)]
    [TestCase(0x838u, 1UL << 32)]
    [TestCase(0x83Eu, 4UL)]
    [TestCase(0x83Fu, 0x100UL)]
    public void Reserved_bits_are_refused(uint msr, ulong value) =>
        Assert.That(_machine.RealBus.TryWriteMsr(_machine.Cpu, msr, value), Is.False);

    [Test]
    public void A_self_ipi_needs_a_legal_vector()
    {
        _machine.WriteMsr(0x83F, 0x55);
        Assert.That(_machine.Cpu.Acknowledge(), Is.EqualTo(0x55));
        _machine.WriteMsr(0x80B, 0);
        _machine.WriteMsr(0x83F, 0x0F);
        Assert.That(_machine.Cpu.IsInterruptRequested, Is.False);
        _machine.WriteMsr(0x828, 0);
        Assert.That(_machine.ReadMsr(0x828), Is.EqualTo(0x20));
    }

    [TestCase(0x0000_0007_0000_0041UL, new[] { 7 })]
    [TestCase(0xFFFF_FFFF_0000_0041UL, new[] { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19 })]
    [TestCase(0x0000_00FF_0000_0041UL, new int[0])]
    [TestCase(0x0000_0000_0004_0041UL, new[] { 2 })]
    [TestCase(0x0000_0022_0000_0841UL, new[] { 1, 5 })]
    [TestCase(0x0001_000A_0000_0841UL, new[] { 17, 19 })]
    [TestCase(0x0002_FFFF_0000_0841UL, new int[0])]
    [TestCase(0x0000_0000_000C_0041UL, new[] { 0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19 })]
    public void A_command_of_processor_2_reaches(ulong command, int[] expected)
    {
        _machine.WriteMsr(0x830, command, 2);
        Assert.That(_machine.Cpus.Where(c => c.Acknowledge() == 0x41).Select(c => c.Index), Is.EqualTo(expected));
        Assert.That(_machine.ReadMsr(0x830, 2), Is.EqualTo(command));
    }

    [Test]
    public void The_upper_half_of_the_command_is_lost_on_entering_x2apic_mode()
    {
        _machine.WriteMsr(BaseMsr, Off);
        _machine.WriteMsr(BaseMsr, XApic);
        _machine.Write32(0xFEE0_0310, 0xFF00_0000);
        _machine.WriteMsr(BaseMsr, X2Apic);
        Assert.That(_machine.ReadMsr(0x830), Is.Zero);
    }
}
