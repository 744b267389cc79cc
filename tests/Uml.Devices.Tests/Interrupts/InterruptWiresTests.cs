using Uml.Core.Bus;
using Uml.Devices.Interrupts;
using Uml.Devices.Tests.Fakes;

namespace Uml.Devices.Tests.Interrupts;

/// <summary>Lines as part of the state of the devices that drive them, and given back.</summary>
internal sealed class InterruptWiresTests
{
    private const int Shared = 18;
    private const byte Vector = 0x60;

    private readonly FakeMachine _machine = new();
    private readonly InterruptWires _wires;

    public InterruptWiresTests()
    {
        ApicBus bus = new();
        IoApic ioApic = new(bus);
        LocalApics apics = new(bus);
        PicPair pics = new(apics);
        _wires = new InterruptWires(bus, ioApic, pics);
        _machine.Plug(apics, ioApic, pics);
        _machine.Write32(0xFEE0_00F0, 0x1FF);
        _machine.Write32(0xFEC0_0000, 0x10 + (2 * Shared));
        _machine.Write32(0xFEC0_0010, 0x8000 | Vector);
    }

    [Test]
    public void A_line_that_is_given_back_lets_go_of_its_input()
    {
        IInterruptLine line = _wires.GetLine("device", Shared), other = _wires.GetLine("other", Shared);
        line.Set(true);
        other.Set(true);
        Assert.That(Take(), Is.EqualTo(Vector));
        line.Dispose();
        line.Dispose();
        Assert.That(Take(), Is.EqualTo(Vector), "the other one asserts the input still");
        other.Dispose();
        Assert.That(Take(), Is.EqualTo(Vector), "what was requested before stays so");
        Assert.That(Take(), Is.EqualTo(-1));
        Assert.That(() => line.Set(true), Throws.InstanceOf<ObjectDisposedException>());
    }

    [Test]
    public void A_level_that_is_restored_makes_no_interrupt_and_is_counted()
    {
        IInterruptLine line = _wires.GetLine("device", Shared), other = _wires.GetLine("other", Shared);
        line.Restore(true);
        Assert.That((line.IsAsserted, line.Name), Is.EqualTo((true, "device")));
        Assert.That(Take(), Is.EqualTo(-1), "the controllers have a state of their own");
        other.Set(true);
        Assert.That(Take(), Is.EqualTo(-1), "and see no change where a line asserts the input already");
        other.Set(false);
        line.Restore(false);
        other.Set(true);
        Assert.That(Take(), Is.EqualTo(Vector));
    }

    private int Take()
    {
        int vector = _machine.Cpu.Acknowledge();
        if (vector >= 0)
        {
            _machine.Write32(0xFEE0_00B0, 0);
        }

        return vector;
    }
}
