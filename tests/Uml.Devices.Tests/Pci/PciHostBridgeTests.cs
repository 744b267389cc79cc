using Uml.Core.Bus;
using Uml.Devices.Pci;
using Uml.Devices.Platform;
using Uml.Devices.Power;
using Uml.Devices.Tests.Fakes;

namespace Uml.Devices.Tests.Pci;

internal sealed class PciHostBridgeTests
{
    private const ulong Ecam = MemoryMap.PciConfigStart;
    private const uint MemoryEnable = 2;

    private readonly FakeMachine _machine = new();
    private readonly PciHostBridge _bridge = CreateBridge();
    private readonly TestFunction _function;
    private readonly Registers _registers = new();

    public PciHostBridgeTests() => _function = new(_bridge, new PciIdentity(0x1AF4, 0x1042, 0x01_80_00, 1, 0x1AF4, 0x0002));

    [SetUp]
    public void Attach() => _machine.Plug(_bridge);

    [Test]
    public void The_bridge_is_device_zero_and_the_rest_is_empty()
    {
        Assert.That(_machine.Read32(Ecam), Is.EqualTo(0x0008_1B36));
        Assert.That(_machine.Read32(Ecam + 8), Is.EqualTo(0x0600_0000));
        for (ulong function = 1; function < 256; function++)
        {
            Assert.That(_machine.Read32(Ecam + (function << 12)), Is.EqualTo(uint.MaxValue));
        }
    }

    [Test]
    public void Both_ways_of_access_see_the_same_registers()
    {
        _machine.Plug(_function);
        Assert.That(_function.DeviceNumber, Is.EqualTo(1));
        for (uint register = 0; register < 256; register += 4)
        {
            _machine.RealBus.WritePort(_machine.Cpu, 0xCF8, 4, 0x8000_0800 | register);
            Assert.That(_machine.RealBus.ReadPort(_machine.Cpu, 0xCFC, 4), Is.EqualTo(_machine.Read32(Ecam + 0x8000 + register)));
            Assert.That(_machine.RealBus.ReadPort(_machine.Cpu, 0xCFE, 1), Is.EqualTo(_machine.RealBus.ReadMemory(_machine.Cpu, Ecam + 0x8002 + register, 1)));
        }

        Assert.That(_machine.RealBus.ReadMemory(_machine.Cpu, Ecam + 0x8000, 8), Is.EqualTo(0x0000_0000_1042_1AF4));
    }

    [Test]
    public void The_interrupt_line_is_that_of_the_8259_pair_as_firmware_leaves_it()
    {
        _machine.Plug(_function);
        Assert.That(_machine.RealBus.ReadMemory(_machine.Cpu, Ecam + 0x803C, 1), Is.EqualTo(11));
        _machine.Plug(new TestFunction(_bridge, new PciIdentity(0x1AF4, 0x1042, 0)));
        Assert.That(_machine.RealBus.ReadMemory(_machine.Cpu, Ecam + 0x1_003C, 1), Is.EqualTo(10));
    }

    [Test]
    public void The_address_port_works_as_linux_probes_it()
    {
        _machine.Out(0xCFB, 1);
        _machine.RealBus.WritePort(_machine.Cpu, 0xCF8, 4, 0x8000_0000);
        Assert.That(_machine.RealBus.ReadPort(_machine.Cpu, 0xCF8, 4), Is.EqualTo(0x8000_0000));
        Assert.That(_machine.RealBus.ReadPort(_machine.Cpu, 0xCFC, 4), Is.EqualTo(0x0008_1B36));
        Assert.That(_machine.RealBus.ReadPort(_machine.Cpu, 0xCF8, 1), Is.EqualTo(0xFF));
        _machine.RealBus.WritePort(_machine.Cpu, 0xCF8, 4, 0x0000_0000);
        Assert.That(_machine.RealBus.ReadPort(_machine.Cpu, 0xCFC, 4), Is.EqualTo(uint.MaxValue), "not enabled");
        _machine.RealBus.WritePort(_machine.Cpu, 0xCF8, 4, 0x8001_0000);
        Assert.That(_machine.RealBus.ReadPort(_machine.Cpu, 0xCFC, 4), Is.EqualTo(uint.MaxValue), "no second bus");
        _machine.RealBus.WritePort(_machine.Cpu, 0xCFC, 4, 0);
        _machine.RealBus.WritePort(_machine.Cpu, 0xCF8, 4, 0xFFFF_FFFF);
        Assert.That(_machine.RealBus.ReadPort(_machine.Cpu, 0xCF8, 4), Is.EqualTo(0x80FF_FFFC));
    }

    [Test]
    public void Identity_and_header_are_read_only()
    {
        _machine.Plug(_function);
        for (ulong register = 0; register < 4096; register += 4)
        {
            _machine.Write32(Ecam + 0x8000 + register, uint.MaxValue);
        }

        Assert.That(_machine.Read32(Ecam + 0x8000), Is.EqualTo(0x1042_1AF4));
        Assert.That(_machine.Read32(Ecam + 0x8004), Is.EqualTo(0x0000_0406));
        Assert.That(_machine.Read32(Ecam + 0x8008), Is.EqualTo(0x0180_0001));
        Assert.That(_machine.Read32(Ecam + 0x802C), Is.EqualTo(0x0002_1AF4));
        Assert.That(_machine.Read32(Ecam + 0x803C), Is.EqualTo(0x0000_00FF));
        Assert.That(_machine.Read32(Ecam + 0x8010), Is.Zero, "no base address registers");
    }

    [Test]
    public void Sizing_a_register_shows_its_length_and_kind()
    {
        _function.AddBar(new PciBar { Index = 0, Length = 0x1000, Device = _registers });
        _function.AddBar(new PciBar { Index = 2, Length = 0x2_0000_0000, Kind = PciBarKind.Memory64, IsPrefetchable = true, Device = _registers });
        _machine.Plug(_function);
        Config(0x10, uint.MaxValue);
        Config(0x18, uint.MaxValue);
        Config(0x1C, uint.MaxValue);
        Assert.That(Config(0x10), Is.EqualTo(0xFFFF_F000));
        Assert.That(Config(0x14), Is.Zero);
        Assert.That(Config(0x18), Is.EqualTo(0x0000_000C));
        Assert.That(Config(0x1C), Is.EqualTo(0xFFFF_FFFE));
    }

    [Test]
    public void Registers_get_aligned_places_in_the_windows_and_answer_when_enabled()
    {
        _function.AddBar(new PciBar { Index = 0, Length = 0x10, Device = new Registers() });
        _function.AddBar(new PciBar { Index = 1, Length = 0x1000, Device = _registers });
        _function.AddBar(new PciBar { Index = 4, Length = 0x4000, Kind = PciBarKind.Memory64, IsPrefetchable = true, Device = _registers });
        _machine.Plug(_function);
        Assert.That(Config(0x10), Is.EqualTo(0xC000_0000));
        Assert.That(Config(0x14), Is.EqualTo(0xC000_1000));
        Assert.That(Config(0x20), Is.EqualTo(0x0000_000C));
        Assert.That(Config(0x24), Is.EqualTo(0x100));
        Assert.That(_machine.Read32(0xC000_1000), Is.EqualTo(uint.MaxValue));
        Config(4, MemoryEnable);
        Assert.That(_machine.Read32(0xC000_1004), Is.EqualTo(4));
        Assert.That(_machine.Read32(0x100_0000_0008), Is.EqualTo(8));
        Config(4, 0);
        Assert.That(_machine.Read32(0xC000_1004), Is.EqualTo(uint.MaxValue));
    }

    [Test]
    public void The_guest_can_move_a_register_within_the_windows_only()
    {
        _function.AddBar(new PciBar { Index = 0, Length = 0x1000, Kind = PciBarKind.Memory64, Device = _registers });
        _machine.Plug(_function);
        Config(4, MemoryEnable);
        Config(0x14, 0);
        Config(0x10, 0xC123_4000);
        Assert.That(_machine.Read32(0xC123_4004), Is.EqualTo(4));
        Assert.That(_machine.Read32(0x100_0000_0004), Is.EqualTo(uint.MaxValue));
        foreach (ulong elsewhere in (ulong[])[0, 0x10_0000, 0xBFFF_F000, 0xE000_0000, 0xFEE0_0000, 0xFFFF_FFFF_FFFF_F000, 0x140_0000_0000])
        {
            Config(0x10, (uint)elsewhere);
            Config(0x14, (uint)(elsewhere >> 32));
            Assert.That(_registers.IsHit(() => _machine.RealBus.ReadMemory(_machine.Cpu, elsewhere, 4)), Is.False, $"{elsewhere:X}");
        }
    }

    [Test]
    public void Two_functions_at_one_place_do_no_harm()
    {
        var other = new TestFunction(_bridge, new PciIdentity(1, 2, 3));
        _function.AddBar(new PciBar { Index = 0, Length = 0x1000, Device = _registers });
        other.AddBar(new PciBar { Index = 0, Length = 0x1000, Device = new Registers { Value = 0x55 } });
        _machine.Plug(_function);
        _machine.Plug(other);
        Assert.That(other.DeviceNumber, Is.EqualTo(2));
        Config(4, MemoryEnable);
        _machine.Write32(Ecam + 0x1_0010, 0xC000_0000);
        _machine.Write32(Ecam + 0x1_0004, MemoryEnable);
        Assert.That(_machine.Read32(0xC000_0004), Is.EqualTo(4));
        Config(4, 0);
        _machine.Write32(Ecam + 0x1_0010, 0xC000_0000);
        Assert.That(_machine.Read32(0xC000_0004), Is.EqualTo(0x55));
    }

    [Test]
    public void A_function_gets_the_place_that_another_one_leaves()
    {
        TestFunction other = new(_bridge, new PciIdentity(1, 2, 3), "other");
        _function.AddBar(new PciBar { Index = 0, Length = 0x1000, Device = _registers });
        other.AddBar(new PciBar { Index = 0, Length = 0x1000, Device = new Registers { Value = 0x55 } });
        _machine.Plug(_function);
        _machine.Plug(other);
        Config(4, MemoryEnable);
        _machine.Write32(Ecam + 0x1_0010, 0xC000_0000);
        _machine.Write32(Ecam + 0x1_0004, MemoryEnable);
        Config(0x10, 0xC010_0000);
        Assert.That(_machine.Read32(0xC000_0004), Is.EqualTo(0x55));
        Assert.That(_machine.Read32(0xC010_0004), Is.EqualTo(4));
    }

    [Test]
    public void Ports_have_a_window_and_a_bit_of_their_own()
    {
        _function.AddBar(new PciBar { Index = 0, Length = 0x20, Kind = PciBarKind.Ports, Device = _registers });
        _function.AddBar(new PciBar { Index = 1, Length = 0x100, Kind = PciBarKind.Ports, Device = _registers });
        _machine.Plug(_function);
        Assert.That((Config(0x10), Config(0x14)), Is.EqualTo((0xC001u, 0xC101u)));
        Config(4, MemoryEnable);
        Assert.That(_machine.In(0xC004), Is.EqualTo(0xFF));
        Config(4, 1);
        Assert.That(_machine.In(0xC004), Is.EqualTo(4));
        Config(0x10, uint.MaxValue);
        Assert.That(Config(0x10), Is.EqualTo(0xFFFF_FFE1));
        foreach (uint elsewhere in (uint[])[0, 0x60, 0xBFE0, 0x1_C000])
        {
            Config(0x10, elsewhere);
            Assert.That(_registers.IsHit(() => _machine.In((ushort)(elsewhere + 4))), Is.False, $"{elsewhere:X}");
        }
    }

    [Test]
    public void Places_are_used_again_and_a_reset_restores_them()
    {
        TestFunction other = new(_bridge, new PciIdentity(1, 2, 3), "other"), third = new(_bridge, new PciIdentity(1, 2, 3), "third");
        foreach (TestFunction function in (TestFunction[])[_function, other, third])
        {
            function.AddBar(new PciBar { Index = 0, Length = 0x1000, Device = _registers });
        }

        _machine.Plug(_function);
        _machine.Plug(other);
        _function.Detach();
        _machine.Plug(third);
        Assert.That((third.DeviceNumber, Config(0x10)), Is.EqualTo((1, 0xC000_0000u)));
        Config(0x10, 0xC123_4000);
        Config(4, MemoryEnable);
        third.Reset();
        Assert.That((Config(0x10), Config(4) & 0xFFFF), Is.EqualTo((0xC000_0000u, 0u)));
        Assert.That(_machine.Read32(0xC123_4004), Is.EqualTo(uint.MaxValue));
    }

    [Test]
    public void Capabilities_form_a_list()
    {
        int first = _function.AddCapability(0x09, [1, 2, 3]);
        int second = _function.AddCapability(0x11, [0xAA, 0xBB], [0x00, 0xF0]);
        _machine.Plug(_function);
        Assert.That((first, second), Is.EqualTo((0x40, 0x48)));
        Assert.That(Config(4) >> 16, Is.EqualTo(0x10));
        Assert.That(Config(0x34), Is.EqualTo(0x40));
        Assert.That(Config(0x40), Is.EqualTo(0x0201_4809));
        Assert.That(Config(0x48), Is.EqualTo(0xBBAA_0011));
        Config(0x48, 0);
        Assert.That(Config(0x48), Is.EqualTo(0x0BAA_0011));
    }

    [Test]
    public void Capabilities_that_do_not_fit_are_refused()
    {
        _function.AddCapability(9, new byte[186]);
        Assert.That(() => _function.AddCapability(9, new byte[3]), Throws.InvalidOperationException.With.Message.Contains("4 bytes are left"));
        Assert.That(() => _function.AddCapability(9, new byte[2]), Throws.Nothing);
    }

    [TestCase(0, 0x1001UL, false)]
    [TestCase(0, 8UL, false)]
    [TestCase(0, 0UL, false)]
    [TestCase(0, 0x4000_0000UL, false)]
    [TestCase(-1, 0x1000UL, false)]
    [TestCase(6, 0x1000UL, false)]
    [TestCase(5, 0x1000UL, true)]
    [TestCase(2, 0x1000UL, false)]
    [TestCase(3, 0x1000UL, false)]
    [TestCase(1, 0x1000UL, true)]
    public void Base_address_registers_that_cannot_be_are_refused(int index, ulong length, bool is64Bit)
    {
        _function.AddBar(new PciBar { Index = 2, Length = 0x1000, Kind = PciBarKind.Memory64, Device = _registers });
        Assert.Throws<ArgumentException>(() => _function.AddBar(
            new PciBar { Index = index, Length = length, Kind = is64Bit ? PciBarKind.Memory64 : PciBarKind.Memory32, Device = _registers }));
    }

    [Test]
    public void A_bus_takes_31_devices()
    {
        for (int i = 1; i < 32; i++)
        {
            TestFunction function = new(_bridge, new PciIdentity(1, 2, 3));
            _machine.Plug(function);
            Assert.That(function.DeviceNumber, Is.EqualTo(i));
        }

        HotPlugException? error = Assert.Throws<HotPlugException>(() => _machine.Plug(_function));
        Assert.That((error!.Error, error.Message), Is.EqualTo(
            (HotPlugError.BusFull, "'test' has no place: the PCI bus has room for 31 devices, and all are taken. Unplug one first.")));
    }

    [Test]
    public void A_function_needs_an_attached_bridge() =>
        Assert.Throws<InvalidOperationException>(() => _machine.Plug(new TestFunction(CreateBridge(), new PciIdentity(1, 2, 3))));

    private static PciHostBridge CreateBridge()
    {
        FakeRouter router = new();
        return new PciHostBridge(new PowerControl(), new PciSlots(new GeneralPurposeEvents(router)), router);
    }

    private uint Config(uint register) => _machine.Read32(Ecam + 0x8000 + register);

    private void Config(uint register, uint value) => _machine.Write32(Ecam + 0x8000 + register, value);

    private sealed class Registers : IBusDevice
    {
        private int _reads;

        public ulong? Value { get; init; }

        public ulong Read(IProcessor processor, ulong offset, int size)
        {
            _reads++;
            return Value ?? offset;
        }

        public void Write(IProcessor processor, ulong offset, int size, ulong value)
        {
        }

        public bool IsHit(Func<ulong> access)
        {
            int before = _reads;
            access();
            return _reads != before;
        }
    }
}
