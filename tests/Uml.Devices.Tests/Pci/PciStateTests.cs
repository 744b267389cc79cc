using System.Buffers;
using Microsoft.Extensions.DependencyInjection;
using Uml.Core.Bus;
using Uml.Core.Machine;
using Uml.Core.Sandbox;
using Uml.Core.Snapshots;
using Uml.Devices.Board;
using Uml.Devices.Pci;
using Uml.Devices.Platform;

namespace Uml.Devices.Tests.Pci;

/// <summary>The state of functions that a guest has put in each other's way, and states that come from anyone.</summary>
internal sealed class PciStateTests
{
    private const ulong Place = MemoryMap.PciWindow32Start + 0x10_0000;
    private const ulong FirstConfig = MemoryMap.PciConfigStart + 0x8000, SecondConfig = FirstConfig + 0x8000;

    [TestCase(FirstConfig, SecondConfig)]
    [TestCase(SecondConfig, FirstConfig)]
    public void Of_two_functions_at_one_place_the_one_that_had_it_has_it_again_after_a_restore(ulong owner, ulong other)
    {
        using DeviceSandbox saved = new(Compose), restored = new(Compose);
        Move(saved, owner, Place);
        Move(saved, other, Place);
        ulong answer = saved.ReadMemory(Place, 4);
        foreach (IMachineDevice device in restored.Devices.Attached)
        {
            DeviceState.Restore(device, DeviceState.Save(saved.Devices.Find(device.Id)!));
        }

        Assert.That(restored.ReadMemory(Place, 4), Is.EqualTo(answer));
        foreach (IMachineDevice device in restored.Devices.Attached)
        {
            // In place, too.
            byte[] state = DeviceState.Save(saved.Devices.Find(device.Id)!);
            DeviceState.Restore(device, state);
            Assert.That(DeviceState.Save(device), Is.EqualTo(state), device.Id);
        }

        Move(restored, owner, Place + 0x10_0000);
        Assert.That(restored.ReadMemory(Place, 4), Is.Not.EqualTo(answer).And.Not.EqualTo(uint.MaxValue), "the other one has waited for it");
    }

    [Test]
    public void Functions_that_have_changed_places_are_restored_where_they_were()
    {
        using DeviceSandbox sandbox = new(Compose);
        Move(sandbox, FirstConfig, Place);
        Move(sandbox, SecondConfig, Place + 0x1000);
        ulong first = sandbox.ReadMemory(Place, 4), second = sandbox.ReadMemory(Place + 0x1000, 4);
        var states = sandbox.Devices.Attached.ToDictionary(device => device, DeviceState.Save);
        Move(sandbox, FirstConfig, Place + 0x2000);
        Move(sandbox, SecondConfig, Place);
        Move(sandbox, FirstConfig, Place + 0x1000);
        foreach ((IMachineDevice device, byte[] state) in states)
        {
            DeviceState.Restore(device, state);
        }

        Assert.That((sandbox.ReadMemory(Place, 4), sandbox.ReadMemory(Place + 0x1000, 4)), Is.EqualTo((first, second)));
    }

    [Test]
    public void Vectors_that_there_are_not_do_not_become_pending()
    {
        using DeviceSandbox sandbox = new(Compose);
        var function = (TestFunction)sandbox.Devices.Find("first")!;
        PciMsix msix = function.Msix!;
        ArrayBufferWriter<byte> state = new();
        msix.SaveState(new StateWriter(state));
        byte[] damaged = state.WrittenSpan.ToArray();
        damaged.AsSpan(^sizeof(ulong)..).Fill(0xFF);
        msix.RestoreState(new StateReader(damaged, "test"));
        Assert.That(msix.Read(sandbox.Processors[0], 0x800, 8), Is.EqualTo(0x7));
        sandbox.WriteMemory(FirstConfig + 0x40, 4, 0x8000_0000);
        Assert.That(() => sandbox.WriteMemory(FirstConfig + 4, 2, 6), Throws.Nothing);
    }

    [Test]
    public void A_function_that_fails_to_attach_is_not_on_the_bus()
    {
        using DeviceSandbox sandbox = new(Compose);
        TestFunction function = new(sandbox.Services.GetRequiredService<IPciBus>(), new PciIdentity(1, 2, 3), "third") { IsBroken = true };
        function.AddBar(new PciBar { Index = 0, Length = 0x1000, Device = new Answer(3) });
        Assert.That(() => sandbox.Devices.Attach(function), Throws.InstanceOf<InvalidDataException>());
        Assert.That(sandbox.ReadMemory(SecondConfig + 0x8000, 4), Is.EqualTo(uint.MaxValue));
        Assert.That(() => Move(sandbox, SecondConfig + 0x8000, Place), Throws.Nothing);
        function.IsBroken = false;
        function.AddMsix(1, 3);
        sandbox.Devices.Attach(function);
        Assert.That(function.DeviceNumber, Is.EqualTo(3));
    }

    /// <summary>Lets a function answer at an address, and nowhere else meanwhile.</summary>
    private static void Move(DeviceSandbox sandbox, ulong config, ulong address)
    {
        sandbox.WriteMemory(config + 4, 2, 0);
        sandbox.WriteMemory(config + 0x10, 4, address);
        sandbox.WriteMemory(config + 4, 2, 2);
    }

    private static void Compose(VirtualMachineBuilder builder)
    {
        builder.Configure(machine => machine.MemorySize = 1 << 20).AddStandardBoard();
        for (int i = 1; i <= 2; i++)
        {
            int number = i;
            builder.Services.AddSingleton<IMachineDevice>(services =>
            {
                TestFunction function = new(services.GetRequiredService<IPciBus>(), new PciIdentity(1, 2, 3), number == 1 ? "first" : "second");
                function.AddBar(new PciBar { Index = 0, Length = 0x1000, Device = new Answer((ulong)number) });
                function.AddMsix(1, 3);
                return function;
            });
        }
    }

    private sealed class Answer(ulong value) : IBusDevice
    {
        public ulong Read(IProcessor processor, ulong offset, int size) => value;

        public void Write(IProcessor processor, ulong offset, int size, ulong value)
        {
        }
    }
}
