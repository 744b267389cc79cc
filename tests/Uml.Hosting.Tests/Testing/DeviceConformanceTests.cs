using Microsoft.Extensions.DependencyInjection;
using Uml.Core.Bus;
using Uml.Core.Machine;
using Uml.Core.Snapshots;
using Uml.Devices.Board;
using Uml.Hosting.Testing;

namespace Uml.Hosting.Tests.Testing;

/// <summary>The fixture finds devices that forget something, whatever the seed.</summary>
public sealed class DeviceConformanceTests
{
    [Test]
    public void A_device_that_keeps_to_the_contract_passes([Range(1, 10)] int seed) => Create(seed, saves: true, resets: true).Check("latch");

    [Test]
    public void A_register_that_is_not_saved_is_found([Range(1, 10)] int seed) =>
        Assert.That(() => Create(seed, saves: false, resets: true).CheckRestore("latch"), Throws.InstanceOf<DeviceConformanceException>().With.Message.Contains("after a restore"));

    [Test]
    public void A_register_that_is_not_reset_is_found_by_nearly_every_seed()
    {
        // A guest may happen to leave the value of power-on in all registers.
        int found = Enumerable.Range(1, 10).Count(seed => Finds(Create(seed, saves: false, resets: false)));
        Assert.That(found, Is.GreaterThanOrEqualTo(9));

        static bool Finds(DeviceConformance conformance)
        {
            try
            {
                conformance.CheckReset("latch");
                return false;
            }
            catch (DeviceConformanceException e)
            {
                Assert.That(e.Message, Does.Contain("after a reset"));
                return true;
            }
        }
    }

    private static DeviceConformance Create(int seed, bool saves, bool resets) => new(
        builder => builder.Configure(machine => machine.MemorySize = 2 << 20).AddStandardBoard().Services.AddSingleton<IMachineDevice>(_ => new Latch(saves, resets)),
        new DeviceConformanceOptions { Seed = seed });

    /// <summary>Four ports that hold what was written.</summary>
    private sealed class Latch(bool saves, bool resets) : IMachineDevice, IBusDevice
    {
        private readonly byte[] _values = new byte[4];

        public string Id => "latch";

        public void Attach(IMachineContext machine) => machine.Bus.MapPorts(0x5A0, 4, this);

        public void Detach()
        {
        }

        public void Reset()
        {
            if (resets)
            {
                Array.Clear(_values);
            }
        }

        public void SaveState(StateWriter state)
        {
            state.WriteVersion(1);
            if (saves)
            {
                state.Write(_values);
            }
        }

        public void RestoreState(StateReader state)
        {
            state.ReadVersion(newest: 1);
            if (saves)
            {
                state.ReadBytes(_values);
            }
        }

        public ulong Read(IProcessor processor, ulong offset, int size) => size == 1 ? _values[offset] : 0xFFUL;

        public void Write(IProcessor processor, ulong offset, int size, ulong value) => _values[offset] = (byte)value;
    }
}
