using System.Buffers.Binary;
using Uml.Core.Bus;
using Uml.Devices.Tests.Fakes;
using Uml.Devices.Timers;

namespace Uml.Devices.Tests.Timers;

internal sealed class KvmClockTests
{
    private const uint WallClock = 0x4B56_4D00;
    private const uint SystemTime = 0x4B56_4D01;

    private readonly FakeMachine _machine = new(processors: 2);

    [SetUp]
    public void Attach() => _machine.Plug(new KvmClock());

    [Test]
    public void Cpuid_announces_kvm_and_a_stable_clock()
    {
        var cpuid = _machine.Cpus[1].Cpuid;
        Assert.That(cpuid[0x4000_0000], Is.EqualTo(new CpuidValues(0x4000_0010, 0x4B4D_564B, 0x564B_4D56, 0x4D)));
        Assert.That(cpuid[0x4000_0001], Is.EqualTo(new CpuidValues(0x0100_000B, 0, 0, 0)));
        Assert.That(cpuid[0x4000_0010], Is.EqualTo(new CpuidValues(2_100_000, 1_000_000, 0, 0)));
    }

    [TestCase(1UL)]
    [TestCase(1_000UL)]
    [TestCase(333_333_333UL)]
    [TestCase(1_000_000_000UL)]
    [TestCase(2_000_000_000UL)]
    [TestCase(2_100_000_000UL)]
    [TestCase(2_999_999_999UL)]
    [TestCase(4_000_000_000UL)]
    [TestCase(100_000_000_000UL)]
    public void The_scale_is_as_precise_as_its_bits_allow(ulong frequency)
    {
        var (multiplier, shift) = KvmClock.GetScale(frequency);
        Assert.That(multiplier, Is.GreaterThanOrEqualTo(0x8000_0000));
        double nanosecondsPerTick = multiplier / Math.Pow(2, 32 - shift);
        Assert.That(nanosecondsPerTick, Is.EqualTo(1e9 / frequency).Within(1e-9).Percent.Or.EqualTo(1e9 / frequency).Within(1e-7).Percent);
    }

    [TestCase(SystemTime)]
    [TestCase(0x12u)]
    public void The_structure_gives_the_guest_its_time(uint msr)
    {
        _machine.Time.Advance(123_456_789_012);
        _machine.WriteMsr(msr, 0x1001);
        Assert.That(_machine.ReadMsr(msr), Is.EqualTo(0x1001));
        var time = _machine.Ram.Bytes.AsSpan(0x1000, 32);
        Assert.That(BinaryPrimitives.ReadUInt32LittleEndian(time), Is.EqualTo(2));
        Assert.That(time[29], Is.EqualTo(1), "stable");
        Assert.That(ReadTime(0x1000), Is.EqualTo(_machine.Time.Nanoseconds));

        _machine.Time.Advance(86_400_000_000_000);
        Assert.That(ReadTime(0x1000), Is.EqualTo(_machine.Time.Nanoseconds).Within(100_000), "a day later");

        _machine.WriteMsr(msr, 0x1001);
        Assert.That(BinaryPrimitives.ReadUInt32LittleEndian(_machine.Ram.Bytes.AsSpan(0x1000)), Is.EqualTo(4));
    }

    [Test]
    public void Linux_derives_the_frequency_of_the_counter_from_the_scale()
    {
        _machine.WriteMsr(SystemTime, 0x1001);
        ulong multiplier = BinaryPrimitives.ReadUInt32LittleEndian(_machine.Ram.Bytes.AsSpan(0x1018));
        int shift = (sbyte)_machine.Ram.Bytes[0x101C];
        ulong kilohertz = (1_000_000UL << 32) / multiplier;
        kilohertz = shift < 0 ? kilohertz << -shift : kilohertz >> shift;
        Assert.That(kilohertz, Is.EqualTo(2_100_000).Within(1));
    }

    [Test]
    public void Without_the_enable_bit_nothing_is_written()
    {
        _machine.WriteMsr(SystemTime, 0x1000);
        Assert.That(_machine.Ram.Bytes.AsSpan(0x1000, 32).ToArray(), Is.All.Zero);
    }

    [TestCase(WallClock)]
    [TestCase(0x11u)]
    public void The_wall_clock_is_the_date_of_guest_time_zero(uint msr)
    {
        _machine.Time.StartTime = new DateTimeOffset(2024, 2, 29, 1, 2, 3, 456, TimeSpan.FromHours(1)).AddTicks(7);
        _machine.Time.Advance(5_000_000_000);
        _machine.WriteMsr(msr, 0x2000);
        var wallClock = _machine.Ram.Bytes.AsSpan(0x2000, 12);
        Assert.That(BinaryPrimitives.ReadUInt32LittleEndian(wallClock), Is.EqualTo(2));
        Assert.That(BinaryPrimitives.ReadUInt32LittleEndian(wallClock[4..]), Is.EqualTo(1_709_164_923));
        Assert.That(BinaryPrimitives.ReadUInt32LittleEndian(wallClock[8..]), Is.EqualTo(456_000_700));
        Assert.That(_machine.ReadMsr(msr), Is.EqualTo(0x2000));
    }

    [Test]
    public void Each_processor_has_its_own_structure()
    {
        _machine.WriteMsr(SystemTime, 0x1001, 0);
        _machine.WriteMsr(SystemTime, 0x1041, 1);
        Assert.That(_machine.ReadMsr(SystemTime, 0), Is.EqualTo(0x1001));
        Assert.That(_machine.ReadMsr(SystemTime, 1), Is.EqualTo(0x1041));
    }

    [TestCase(ulong.MaxValue)]
    [TestCase(0x20_0001UL)]
    [TestCase(0x1F_FFF1UL)]
    [TestCase(0xFEE0_0001UL)]
    [TestCase(0x8000_0000_0000_0001UL)]
    public void Addresses_outside_memory_are_harmless(ulong value)
    {
        _machine.WriteMsr(SystemTime, value);
        _machine.WriteMsr(WallClock, value);
        Assert.That(_machine.ReadMsr(SystemTime), Is.EqualTo(value));
    }

    // As the kernel computes it: Linux Documentation/virt/kvm/x86/msr.rst, MSR_KVM_SYSTEM_TIME_NEW.
    private ulong ReadTime(int address)
    {
        var time = _machine.Ram.Bytes.AsSpan(address, 32);
        ulong ticks = _machine.Time.ReadTsc() - BinaryPrimitives.ReadUInt64LittleEndian(time[8..]);
        int shift = (sbyte)time[28];
        ticks = shift < 0 ? ticks >> -shift : ticks << shift;
        ulong elapsed = (ulong)(((UInt128)ticks * BinaryPrimitives.ReadUInt32LittleEndian(time[24..])) >> 32);
        return elapsed + BinaryPrimitives.ReadUInt64LittleEndian(time[16..]);
    }
}
