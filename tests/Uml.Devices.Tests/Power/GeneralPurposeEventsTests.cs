using Uml.Core.Machine;
using Uml.Core.Snapshots;
using Uml.Devices.Power;
using Uml.Devices.Tests.Fakes;

namespace Uml.Devices.Tests.Power;

/// <summary>ACPI's general-purpose events: a status that stays until it is cleared, and the system control interrupt.</summary>
internal sealed class GeneralPurposeEventsTests
{
    private const ushort Status = 0x608, Enable = 0x609;
    private const byte Slots = 1 << GeneralPurposeEvents.PciSlots;

    private readonly FakeMachine _machine = new();
    private readonly FakeRouter _router = new();
    private readonly GeneralPurposeEvents _events;

    public GeneralPurposeEventsTests() => _events = new(_router);

    private bool IsInterrupted => _router.Lines[GeneralPurposeEvents.SystemControlInterrupt].IsAsserted;

    [SetUp]
    public void Attach() => _machine.Plug(_events);

    [Test]
    public void An_event_interrupts_while_it_is_enabled_until_its_status_is_cleared()
    {
        Happen();
        Assert.That(IsInterrupted, Is.False);
        Assert.That(_machine.In(Status), Is.EqualTo(Slots));
        _machine.Out(Enable, Slots);
        Assert.That(IsInterrupted, Is.True, "what happened before it was enabled is not lost");
        _machine.Out(Enable, 0);
        Assert.That(IsInterrupted, Is.False);
        _machine.Out(Enable, Slots);
        _machine.Out(Status, unchecked((byte)~Slots));
        Assert.That(IsInterrupted, Is.True, "only writing 1 clears");
        _machine.Out(Status, Slots);
        Assert.That((IsInterrupted, _machine.In(Status), _machine.In(Enable)), Is.EqualTo((false, (byte)0, Slots)));
        Happen();
        Happen();
        Assert.That(IsInterrupted, Is.True);
    }

    [Test]
    public void An_event_that_is_cleared_while_there_is_cause_for_it_happens_again()
    {
        _events.Set(GeneralPurposeEvents.PciSlots, true);
        _machine.Out(Status, Slots);
        _machine.Out(Enable, Slots);
        Assert.That(IsInterrupted, Is.True, "a guest that begins clears it without looking");
        _events.Set(GeneralPurposeEvents.PciSlots, false);
        Assert.That(IsInterrupted, Is.True);
        _machine.Out(Status, Slots);
        Assert.That(IsInterrupted, Is.False);
    }

    [Test]
    public void Both_registers_are_accessed_at_once_too()
    {
        Happen();
        _machine.RealBus.WritePort(_machine.Cpu, Status, 2, Slots << 8);
        Assert.That(_machine.RealBus.ReadPort(_machine.Cpu, Status, 2), Is.EqualTo((Slots << 8) | Slots));
        _machine.RealBus.WritePort(_machine.Cpu, Status, 2, 0xFF);
        Assert.That(_machine.RealBus.ReadPort(_machine.Cpu, Status, 2), Is.Zero);
    }

    [Test]
    public void Events_that_there_are_not_cannot_be_enabled()
    {
        _machine.Out(Enable, 0xFF);
        Assert.That(_machine.In(Enable), Is.EqualTo(Slots));
        Assert.That(_events.IsEnabled(GeneralPurposeEvents.PciSlots), Is.True);
        Assert.That(IsInterrupted, Is.False);
    }

    [Test]
    public void A_reset_forgets_the_event_and_that_it_was_enabled()
    {
        _events.Set(GeneralPurposeEvents.PciSlots, true);
        _machine.Out(Enable, Slots);
        _events.Reset();
        Assert.That((IsInterrupted, _machine.In(Status), _machine.In(Enable)), Is.EqualTo((false, (byte)0, (byte)0)));
    }

    [Test]
    public void A_pending_event_is_saved_and_restored_with_its_interrupt()
    {
        _machine.Out(Enable, Slots);
        _events.Set(GeneralPurposeEvents.PciSlots, true);
        byte[] state = DeviceState.Save(_events);
        _events.Reset();
        DeviceState.Restore(_events, state);
        Assert.That((IsInterrupted, _machine.In(Status), _machine.In(Enable)), Is.EqualTo((true, Slots, Slots)));
        _machine.Out(Status, Slots);
        Assert.That(IsInterrupted, Is.True, "with its cause");
        state[0]++;
        Assert.That(() => DeviceState.Restore(_events, state), Throws.InstanceOf<StateFormatException>());
    }

    private void Happen()
    {
        _events.Set(GeneralPurposeEvents.PciSlots, true);
        _events.Set(GeneralPurposeEvents.PciSlots, false);
    }
}
