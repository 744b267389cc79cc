using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Uml.Core.Bus;
using Uml.Core.Machine;
using Uml.Core.Sandbox;
using Uml.Devices.Board;
using Uml.Devices.Consoles;
using Uml.Devices.Pci;
using Uml.Devices.Tests.Fakes;
using Uml.Devices.Tests.Pci;
using Uml.Devices.Virtio;
using Uml.Hosting.Testing;
using Uml.Storage.Blocks;

namespace Uml.Devices.Tests.Board;

/// <summary>Every device of the standard board keeps to the contract: nothing of its state is out of reach, and it can go and come.</summary>
internal sealed class DeviceConformanceTests
{
    public static IEnumerable<string> Ids => new DeviceConformance(Compose).GetDeviceIds();

    [TestCaseSource(nameof(Ids))]
    public void A_restored_machine_is_the_one_that_was_saved(string id) => ForSeeds(conformance => conformance.CheckRestore(id));

    [TestCaseSource(nameof(Ids))]
    public void A_reset_is_like_power_on(string id) => ForSeeds(conformance => conformance.CheckReset(id));

    [TestCaseSource(nameof(Ids))]
    public void A_device_that_is_unplugged_leaves_nothing_behind_and_can_come_back(string id) => ForSeeds(conformance => conformance.CheckDetach(id));

    [TestCaseSource(nameof(Ids))]
    public void A_damaged_state_is_refused_or_does_no_harm(string id) => ForSeeds(conformance => conformance.CheckDamagedState(id));

    [Test]
    public void Every_device_that_the_library_has_is_among_those_that_are_tested()
    {
        using DeviceSandbox sandbox = new(Compose);
        HashSet<Type> tested = [.. sandbox.Devices.Attached.Select(device => device.GetType())];
        IEnumerable<Type> all = typeof(StandardBoard).Assembly.GetTypes()
            .Where(type => type is { IsClass: true, IsAbstract: false } && type.IsAssignableTo(typeof(IMachineDevice)));
        Assert.That(all.Where(type => !tested.Contains(type)), Is.Empty);
    }

    [TestCase("pit", "timer")]
    [TestCase("rtc", "timer")]
    [TestCase("serial0", "interrupt line")]
    [TestCase("panic-monitor", "timer")]
    [TestCase("first", "device number")]
    public void A_device_that_is_detached_has_no_state_and_says_so(string id, string missing)
    {
        using DeviceSandbox sandbox = new(Compose);
        IMachineDevice device = sandbox.Devices.Find(id)!;
        byte[] state = DeviceState.Save(device);
        sandbox.Devices.Detach(device);
        string message = $"no {missing} while it is not attached";
        Assert.That(() => DeviceState.Save(device), Throws.InvalidOperationException.With.Message.Contains(message));
        Assert.That(() => DeviceState.Restore(device, state), Throws.InvalidOperationException.With.Message.Contains(message));
    }

    private static void ForSeeds(Action<DeviceConformance> check)
    {
        for (int seed = 1; seed <= 10; seed++)
        {
            check(Create(seed));
        }
    }

    private static DeviceConformance Create(int seed) => new(
        Compose, new DeviceConformanceOptions { Seed = seed, Act = Act, Restored = CompareFields });

    private static void Compose(VirtualMachineBuilder builder)
    {
        builder.Configure(machine => machine.MemorySize = 2 << 20).AddStandardBoard();
        for (int i = 0; i < SerialPort.All.Count; i++)
        {
            builder.AddConsole(new FakeChannel(), SerialPort.All[i].Name);
        }

        builder.Services.AddSingleton<IMachineDevice>(_ => new StdioConsoleChannel());
        builder.AddBlockDevice(_ => new MemoryBlockDevice(1 << 20)).AddEntropy();
        builder.Services.AddSingleton<IMachineDevice>(services => Function(services.GetRequiredService<IPciBus>(), "first"));
        builder.Services.AddSingleton<IMachineDevice>(services => Function(services.GetRequiredService<IPciBus>(), "second"));
    }

    private static TestFunction Function(IPciBus bus, string id)
    {
        TestFunction function = new(bus, new PciIdentity(1, 2, 3), id);
        function.AddBar(new PciBar { Index = 0, Length = 0x1000, Device = new Nothing() });
        function.AddBar(new PciBar { Index = 1, Length = 0x20, Kind = PciBarKind.Ports, Device = new Nothing() });
        function.AddBar(new PciBar { Index = 2, Length = 0x4000, Kind = PciBarKind.Memory64, Device = new Nothing() });
        function.AddMsix(4, 70);
        function.AddInterruptPin();
        return function;
    }

    private static void CompareFields(DeviceSandbox original, DeviceSandbox copy) => Assert.That(
        original.Devices.Attached.SelectMany(device => FieldComparison.Compare(device, copy.Devices.Find(device.Id)!)), Is.Empty);

    private static void Act(DeviceSandbox sandbox, IMachineDevice device, Random random)
    {
        switch (device)
        {
            case KernelPanicMonitor monitor:
                string[] pieces = ["[ 1.0] Kernel panic - not syncing: it\r\n", "[ 1.1] ---[ end Kernel panic - not syncing: it ]---\r\n", "login: ", "\n"];
                monitor.Observe(Encoding.ASCII.GetBytes(pieces[random.Next(pieces.Length)]));
                break;
            case TestFunction function when random.Next(2) == 0:
                function.SetInterrupt(random.Next(2) == 0);
                break;
            case TestFunction function:
                function.Raise(random.Next(70));
                break;
        }
    }

    private sealed class Nothing : Uml.Core.Bus.IBusDevice
    {
        public ulong Read(IProcessor processor, ulong offset, int size) => 0;

        public void Write(IProcessor processor, ulong offset, int size, ulong value)
        {
        }
    }
}
