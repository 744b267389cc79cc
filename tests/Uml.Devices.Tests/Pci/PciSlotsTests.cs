using Microsoft.Extensions.DependencyInjection;
using Uml.Core.Machine;
using Uml.Core.Sandbox;
using Uml.Core.Snapshots;
using Uml.Devices.Board;
using Uml.Devices.Pci;

namespace Uml.Devices.Tests.Pci;

/// <summary>What the guest reads of the slots of its bus, and that it is not obeyed.</summary>
internal sealed class PciSlotsTests
{
    private const ushort EventStatus = 0x608, EventEnable = 0x609, Arrived = 0x610, Leaving = 0x614, Eject = 0x618;

    private readonly DeviceSandbox _sandbox = new(Compose);
    private readonly TestFunction _function;
    private readonly IPciBus _bus;

    public PciSlotsTests()
    {
        _bus = _sandbox.Services.GetRequiredService<IPciBus>();
        _function = new TestFunction(_bus, new PciIdentity(1, 2, 3));
    }

    [TearDown]
    public void DisposeSandbox() => _sandbox.Dispose();

    [Test]
    public void What_comes_is_told_once()
    {
        _sandbox.Devices.Attach(_function);
        Assert.That(_sandbox.ReadPort(EventStatus, 1), Is.EqualTo(2));
        Assert.That(_sandbox.ReadPort(Arrived, 4), Is.EqualTo(1 << 1));
        Assert.That((_sandbox.ReadPort(Arrived, 4), _sandbox.ReadPort(Leaving, 4)), Is.EqualTo((0ul, 0ul)));
    }

    [Test]
    public void What_is_gone_before_the_guest_has_looked_did_not_come()
    {
        _sandbox.Devices.Attach(_function);
        _sandbox.Devices.Detach(_function);
        Assert.That((_sandbox.ReadPort(Arrived, 4), _sandbox.ReadPort(Leaving, 4)), Is.EqualTo((0ul, 2ul)));
    }

    [Test]
    public void A_part_of_a_register_that_is_read_forgets_that_part_alone()
    {
        List<TestFunction> functions = [.. Enumerable.Range(1, 31).Select(i => new TestFunction(_bus, new PciIdentity(1, 2, 3), $"f{i}"))];
        functions.ForEach(_sandbox.Devices.Attach);
        Assert.That(_sandbox.ReadPort(Arrived + 1, 1), Is.EqualTo(0xFF));
        Assert.That(_sandbox.ReadPort(Arrived + 2, 2), Is.EqualTo(0xFFFF));
        Assert.That(_sandbox.ReadPort(Arrived, 4), Is.EqualTo(0xFE));
        Assert.That(_sandbox.ReadPort(Arrived, 4), Is.Zero);
    }

    [Test]
    public void The_guest_lets_go_what_it_was_asked_for_and_is_not_told_again()
    {
        _sandbox.Devices.Attach(_function);
        _sandbox.ReadPort(Arrived, 4);
        Task letGo = _bus.RequestEject(_function);
        Assert.That(_sandbox.ReadPort(Leaving, 4), Is.EqualTo(1 << 1));
        Assert.That(letGo.IsCompleted, Is.False);
        _bus.RemindToEject(_function);
        _sandbox.WritePort(Eject, 4, 1);
        Assert.That(letGo.IsCompletedSuccessfully, Is.True);
        Assert.That(_sandbox.Devices.Attached, Has.Member(_function), "whoever has asked detaches it");
        _sandbox.Devices.Detach(_function);
        _sandbox.WritePort(EventStatus, 1, 2);
        Assert.That((_sandbox.ReadPort(EventStatus, 1), _sandbox.ReadPort(Leaving, 4)), Is.EqualTo((0ul, 0ul)));
    }

    [TestCase(0ul, 4)]
    [TestCase(1ul, 4)]
    [TestCase(2ul, 4)]
    [TestCase(31ul, 1)]
    [TestCase(32ul, 4)]
    [TestCase(0xFFFF_FFFFul, 4)]
    public void An_ejection_that_nobody_has_asked_for_changes_nothing(ulong slot, int size)
    {
        _sandbox.Devices.Attach(_function);
        _sandbox.WritePort(Eject, size, slot);
        _sandbox.WritePort(Eject + 1, 1, slot);
        _sandbox.WritePort(Arrived, 4, slot);
        _sandbox.WritePort(Leaving, 4, slot);
        Assert.That(_sandbox.Devices.Attached, Has.Member(_function));
        Assert.That((_sandbox.ReadPort(Arrived, 4), _sandbox.ReadPort(Leaving, 4), _sandbox.ReadPort(Eject, 4)), Is.EqualTo((2ul, 0ul, 0ul)));
    }

    [Test]
    public void A_request_that_is_given_up_says_how_far_it_has_come()
    {
        _sandbox.Devices.Attach(_function);
        _bus.RequestEject(_function);
        Assert.That(_bus.WithdrawEject(_function), Is.EqualTo(EjectProgress.NotListening));
        Assert.That(_sandbox.ReadPort(Leaving, 4), Is.Zero, "the guest is not asked any more");
        _sandbox.WritePort(EventEnable, 1, 2);
        _bus.RequestEject(_function);
        Assert.That(_bus.WithdrawEject(_function), Is.EqualTo(EjectProgress.Signalled));
        Task letGo = _bus.RequestEject(_function);
        _sandbox.ReadPort(Leaving, 4);
        Assert.That(_bus.WithdrawEject(_function), Is.EqualTo(EjectProgress.Notified));
        _sandbox.WritePort(Eject, 4, 1);
        Assert.That(letGo.IsCompleted, Is.False);
    }

    [Test]
    public void Two_that_ask_for_the_same_wait_for_the_same()
    {
        _sandbox.Devices.Attach(_function);
        Task first = _bus.RequestEject(_function), second = _bus.RequestEject(_function);
        _bus.WithdrawEject(_function);
        Assert.That(_sandbox.ReadPort(Leaving, 4), Is.EqualTo(1 << 1), "the other one still waits");
        _sandbox.WritePort(Eject, 1, 1);
        Assert.That((first.IsCompleted, second.IsCompleted), Is.EqualTo((true, true)));
    }

    [Test]
    public void A_guest_that_begins_anew_is_asked_again_and_told_of_nothing_else()
    {
        TestFunction other = new(_bus, new PciIdentity(1, 2, 3), "other");
        _sandbox.Devices.Attach(_function);
        _sandbox.Devices.Attach(other);
        Task letGo = _bus.RequestEject(other);
        _sandbox.ReadPort(Leaving, 4);
        _sandbox.Reset();
        Assert.That((_sandbox.ReadPort(EventStatus, 1), _sandbox.ReadPort(Arrived, 4), _sandbox.ReadPort(Leaving, 4)), Is.EqualTo((2ul, 0ul, 4ul)));
        _sandbox.WritePort(Eject, 4, 2);
        Assert.That(letGo.IsCompletedSuccessfully, Is.True);
        _sandbox.Reset();
        Assert.That(_sandbox.ReadPort(Leaving, 4), Is.Zero);
    }

    [Test]
    public void A_function_that_goes_while_the_guest_is_asked_for_it_ends_the_request()
    {
        _sandbox.Devices.Attach(_function);
        Task letGo = _bus.RequestEject(_function);
        _sandbox.ReadPort(Leaving, 4);
        _sandbox.Devices.Detach(_function);
        Assert.That(letGo.IsCompletedSuccessfully, Is.True);
        Assert.That(_sandbox.ReadPort(Leaving, 4), Is.EqualTo(1 << 1), "the guest still has it");
    }

    [Test]
    public void Notifications_that_are_pending_are_saved_and_restored()
    {
        TestFunction other = new(_bus, new PciIdentity(1, 2, 3), "other");
        _sandbox.Devices.Attach(other);
        _sandbox.Devices.Attach(_function);
        _bus.RequestEject(other);
        IMachineDevice slots = _sandbox.Devices.Find("pci-slots")!;
        byte[] state = DeviceState.Save(slots);
        using DeviceSandbox copy = new(Compose);
        DeviceState.Restore(copy.Devices.Find("pci-slots")!, state);
        Assert.That((copy.ReadPort(Arrived, 4), copy.ReadPort(Leaving, 4)), Is.EqualTo((6ul, 2ul)));
        Assert.That(() => copy.WritePort(Eject, 4, 1), Throws.Nothing, "nobody waits in this machine");
        state.AsSpan(2).Fill(0xFF);
        DeviceState.Restore(slots, state);
        Assert.That((_sandbox.ReadPort(Arrived, 4), _sandbox.ReadPort(Leaving, 4)), Is.EqualTo((0xFFFF_FFFEul, 0xFFFF_FFFEul)), "the bridge has no bit");
        Assert.That(() => DeviceState.Restore(slots, state.AsMemory(0, 9)), Throws.InstanceOf<StateFormatException>());
    }

    [Test]
    public void Whatever_the_guest_writes_its_owner_alone_decides_what_is_on_the_bus([Range(1, 5)] int seed)
    {
        Random random = new(seed);
        List<TestFunction> absent = [.. Enumerable.Range(1, 31).Select(i => new TestFunction(_bus, new PciIdentity(1, 2, 3), $"f{i}"))], present = [];
        Dictionary<TestFunction, Task> asked = [];
        for (int step = 0; step < 20_000; step++)
        {
            ushort port = (ushort)(EventStatus + random.Next(0x18));
            int size = 1 << random.Next(3);
            switch (random.Next(12))
            {
                case 0 when absent.Count != 0:
                    _sandbox.Devices.Attach(absent[0]);
                    present.Add(absent[0]);
                    absent.RemoveAt(0);
                    break;
                case 1 when present.Count != 0:
                    TestFunction gone = present[random.Next(present.Count)];
                    _sandbox.Devices.Detach(gone);
                    Assert.That(!asked.Remove(gone, out Task? letGo) || letGo.IsCompletedSuccessfully);
                    present.Remove(gone);
                    absent.Add(gone);
                    break;
                case 2 when present.Count != 0 && !asked.ContainsKey(present[^1]):
                    asked.Add(present[^1], _bus.RequestEject(present[^1]));
                    break;
                case 3 when asked.FirstOrDefault(request => !request.Value.IsCompleted) is { Key: { } function }:
                    _bus.WithdrawEject(function);
                    asked.Remove(function);
                    break;
                case 4 when random.Next(50) == 0:
                    _sandbox.Reset();
                    break;
                case 5:
                    byte[] state = DeviceState.Save(_sandbox.Devices.Find("pci-slots")!);
                    DeviceState.Restore(_sandbox.Devices.Find("pci-slots")!, state);
                    break;
                case < 9:
                    _sandbox.WritePort(port, size, random.Next(3) == 0 ? (ulong)random.NextInt64() : (ulong)random.Next(40));
                    break;
                default:
                    _sandbox.ReadPort(port, size);
                    break;
            }
        }

        Assert.That(_sandbox.Devices.Attached.OfType<TestFunction>(), Is.EquivalentTo(present));
    }

    private static void Compose(VirtualMachineBuilder builder) => builder.Configure(machine => machine.MemorySize = 1 << 20).AddStandardBoard();
}
