using Microsoft.Extensions.DependencyInjection;
using Uml.Core.Bus;
using Uml.Core.Machine;
using Uml.Devices.Consoles;
using Uml.Devices.Pci;
using Uml.Devices.Board;
using Uml.Devices.Platform;
using Uml.Devices.Tests.Pci;
using Uml.Devices.Tests.Fakes;

namespace Uml.Devices.Tests.Board;

/// <summary>A guest that writes anything anywhere: nothing throws, and time can always go on.</summary>
internal sealed class HostileGuestTests
{
    private const int Steps = 60_000;

    private static readonly int[] Sizes = [1, 2, 4, 8];

    private static readonly (ulong Start, ulong Length)[] Memory =
    [
        (MemoryMap.LocalApicStart, 0x1000),
        (MemoryMap.IoApicStart, 0x60),
        (MemoryMap.PciConfigStart, 0x1_2000),
        (MemoryMap.PciConfigStart, 0x10_0000),
        (MemoryMap.PciWindow32Start, 0x4000),
        (MemoryMap.PciWindow64Start, 0x4000),
        (0, ulong.MaxValue),
    ];

    private static readonly (int Start, int Length)[] Ports = [(0x20, 2), (0x40, 4), (0x61, 1), (0xA0, 2), (0x4D0, 2), (0x60, 0x30), (0xF0, 8), (0x2F0, 0x10), (0x3E0, 0x20), (0x5F0, 0x20), (0x600, 0x20), (0xCF0, 0x10), (0, 0x1_0000)];

    private static readonly (uint Start, uint Length)[] Msrs = [(0x11, 2), (0x1B, 1), (0x6E0, 1), (0x800, 0x100), (0x4B56_4D00, 4), (0, uint.MaxValue)];

    [TestCase(1)]
    [TestCase(2)]
    [TestCase(3)]
    [TestCase(4)]
    [TestCase(5)]
    [TestCase(6)]
    [TestCase(7)]
    [TestCase(8)]
    public void Random_accesses_to_every_register_never_throw_and_time_goes_on(int seed)
    {
        var random = new Random(seed);
        var machine = new FakeMachine(processors: 3);
        var channel = new FakeChannel { Room = 1000 };
        using var services = Attach(machine, channel);
        for (int step = 0; step < Steps; step++)
        {
            Act(random, machine, channel);
        }

        Assert.That(machine.PostedCount, Is.LessThanOrEqualTo(2), "one action a port at most");
        machine.Quiesce();
    }

    private static void Act(Random random, FakeMachine machine, FakeChannel channel)
    {
        int size = Sizes[random.Next(4)];
        switch (random.Next(16))
        {
            case < 5:
                var (start, length) = Memory[random.Next(Memory.Length)];
                AccessMemory(random, machine, start + ((ulong)random.NextInt64() % length), size);
                break;
            case < 10:
                var (port, count) = Ports[random.Next(Ports.Length)];
                AccessPort(random, machine, (ushort)(port + random.Next(count)), Math.Min(size, 4));
                break;
            case < 13:
                var (msr, msrs) = Msrs[random.Next(Msrs.Length)];
                AccessMsr(random, machine, msr + (uint)(random.NextInt64() % msrs));
                break;
            case 13:
                machine.Time.Advance((ulong)random.Next(1_000_000));
                break;
            case 14:
                channel.Room = random.Next(100);
                channel.Type("x");
                Assert.That(machine.PostedCount, Is.LessThanOrEqualTo(2));
                machine.RunPosted();
                break;
            default:
                var cpu = machine.Cpus[random.Next(3)];
                int vector = cpu.Acknowledge();
                Assert.That(vector, Is.InRange(-1, 255));
                cpu.LocalApic!.TaskPriority = (byte)random.Next(16);
                break;
        }
    }

    private static void AccessMemory(Random random, FakeMachine machine, ulong address, int size)
    {
        if (random.Next(2) == 0)
        {
            AssertFits(machine.RealBus.ReadMemory(machine.Cpu, address, size), size);
        }
        else
        {
            machine.RealBus.WriteMemory(machine.Cpu, address, size, Value(random));
        }
    }

    private static void AccessPort(Random random, FakeMachine machine, ushort port, int size)
    {
        if (random.Next(2) == 0)
        {
            AssertFits(machine.RealBus.ReadPort(machine.Cpu, port, size), size);
        }
        else
        {
            machine.RealBus.WritePort(machine.Cpu, port, size, Value(random));
        }
    }

    private static void AccessMsr(Random random, FakeMachine machine, uint msr)
    {
        var cpu = machine.Cpus[random.Next(3)];
        if (random.Next(2) == 0)
        {
            machine.RealBus.TryReadMsr(cpu, msr, out _);
        }
        else
        {
            machine.RealBus.TryWriteMsr(cpu, msr, msr == 0x1B ? 0xFEE0_0000 | (Value(random) & 0xD00) : Value(random));
        }
    }

    private static void AssertFits(ulong value, int size) =>
        Assert.That(size == 8 || value >> (size * 8) == 0, Is.True, $"{value:X} in {size} bytes");

    // Small numbers, single bits and extremes hit more than evenly spread ones.
    private static ulong Value(Random random) => random.Next(4) switch
    {
        0 => (ulong)random.Next(256),
        1 => 1UL << random.Next(64),
        2 => ulong.MaxValue << random.Next(64),
        _ => (ulong)random.NextInt64(),
    };

    private static ServiceProvider Attach(FakeMachine machine, FakeChannel channel)
    {
        VirtualMachineBuilder builder = new VirtualMachineBuilder()
            .AddStandardBoard()
            .AddConsole(channel)
            .AddConsole(new NullConsoleChannel(), "ttyS1");
        var services = builder.Services.BuildServiceProvider();
        TestFunction function = new(services.GetRequiredService<IPciBus>(), new PciIdentity(1, 2, 3));
        function.AddBar(new PciBar { Index = 0, Length = 0x1000, Device = new ReadsAddress() });
        function.AddBar(new PciBar { Index = 1, Length = 0x20, Kind = PciBarKind.Ports, Device = new ReadsAddress() });
        function.AddBar(new PciBar { Index = 2, Length = 0x1000, Kind = PciBarKind.Memory64, IsPrefetchable = true, Device = new ReadsAddress() });
        function.AddMsix(4, 3);
        function.AddCapability(9, new byte[14], [0xFF, 0xFF, 0xFF]);
        machine.Plug([.. services.GetServices<IMachineDevice>(), function]);
        return services;
    }

    private sealed class ReadsAddress : IBusDevice
    {
        public ulong Read(IProcessor processor, ulong offset, int size) => offset;

        public void Write(IProcessor processor, ulong offset, int size, ulong value)
        {
        }
    }
}
