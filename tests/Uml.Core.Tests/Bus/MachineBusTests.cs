using Uml.Core.Bus;
using Uml.Core.Memory;

namespace Uml.Core.Tests.Bus;

[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
internal sealed class MachineBusTests
{
    private const ulong Mapped = 0xD000_0000;

    private readonly RecordingDevice _device = new();
    private readonly Initiator _processor = new(0);
    private readonly MachineBus _bus = new(
    [
        new GuestMemoryRange(new GuestPhysicalAddress(0), 0xC000_0000),
        new GuestMemoryRange(new GuestPhysicalAddress(0x1_0000_0000), 0x4000_0000),
    ]);

    [TestCase(1, 0xFFUL)]
    [TestCase(2, 0xFFFFUL)]
    [TestCase(4, 0xFFFF_FFFFUL)]
    [TestCase(8, ulong.MaxValue)]
    public void A_hole_reads_as_all_ones_and_ignores_writes(int size, ulong expected)
    {
        _bus.WriteMemory(_processor, Mapped, size, 0);
        Assert.That(_bus.ReadMemory(_processor, Mapped, size), Is.EqualTo(expected));
        Assert.That(_bus.ReadMemory(_processor, ulong.MaxValue, size), Is.EqualTo(expected));
    }

    [TestCase(1)]
    [TestCase(2)]
    [TestCase(4)]
    [TestCase(8)]
    public void An_aligned_access_reaches_the_device_whole(int size)
    {
        _bus.MapMemory(new(Mapped), 0x1000, _device);
        _device.Bytes[0x18] = 0x5A;
        Assert.That(_bus.ReadMemory(_processor, Mapped + 0x18, size), Is.EqualTo(0x5A));
        _bus.WriteMemory(_processor, Mapped + 0xFF8, size, ulong.MaxValue);
        Assert.That(_device.Log, Is.EqualTo(new[] { $"R18/{size}", $"WFF8/{size}" }));
        Assert.That(_device.Bytes.AsSpan(0xFF8).ToArray().Count(b => b == 0xFF), Is.EqualTo(size));
    }

    [TestCase(1UL, 8, "R1/1 R2/2 R4/4 R8/1")]
    [TestCase(4UL, 8, "R4/4 R8/4")]
    [TestCase(3UL, 4, "R3/1 R4/2 R6/1")]
    [TestCase(0UL, 3, "R0/2 R2/1")]
    [TestCase(0UL, 7, "R0/4 R4/2 R6/1")]
    [TestCase(1UL, 2, "R1/1 R2/1")]
    public void Other_accesses_are_split_into_aligned_ones(ulong offset, int size, string expected)
    {
        _bus.MapMemory(new(Mapped), 0x1000, _device);
        for (int i = 0; i < 16; i++)
        {
            _device.Bytes[i] = (byte)(i + 1);
        }

        ulong value = 0;
        for (int i = size - 1; i >= 0; i--)
        {
            value = (value << 8) | (offset + (ulong)i + 1);
        }

        Assert.That(_bus.ReadMemory(_processor, Mapped + offset, size), Is.EqualTo(value));
        Assert.That(string.Join(' ', _device.Log), Is.EqualTo(expected));
        Array.Clear(_device.Bytes);
        _bus.WriteMemory(_processor, Mapped + offset, size, value);
        Assert.That(_device.Bytes.AsSpan((int)offset, size)[size - 1], Is.EqualTo((byte)(offset + (ulong)size)));
    }

    [Test]
    public void An_access_that_straddles_the_end_of_a_range_does_not_reach_the_device()
    {
        _bus.MapMemory(new(Mapped), 0x12, _device);
        Assert.That(_bus.ReadMemory(_processor, Mapped + 0x10, 4), Is.EqualTo(0xFFFF_FFFF));
        _bus.WriteMemory(_processor, Mapped + 0x10, 8, 0);
        Assert.That(_device.Log, Is.Empty);
        Assert.That(_bus.ReadMemory(_processor, Mapped + 0x10, 2), Is.Zero);
    }

    [Test]
    public void An_access_across_two_devices_reaches_each_with_its_part()
    {
        var other = new RecordingDevice();
        _bus.MapPorts(0x100, 1, _device);
        _bus.MapPorts(0x101, 1, other);
        _bus.WritePort(_processor, 0x100, 1, 0x11);
        _bus.WritePort(_processor, 0x101, 1, 0x22);
        Assert.That(_bus.ReadPort(_processor, 0x100, 1), Is.EqualTo(0x11));
        Assert.That(_bus.ReadPort(_processor, 0x101, 1), Is.EqualTo(0x22));
        Assert.That(_bus.ReadPort(_processor, 0xFFFF, 4), Is.EqualTo(0xFFFF_FFFF));
    }

    [Test]
    public void A_range_given_back_is_a_hole_again_and_can_be_claimed_again()
    {
        var claim = _bus.MapMemory(new(Mapped), 0x1000, _device);
        Assert.That(_bus.ReadMemory(_processor, Mapped, 4), Is.Zero);
        claim.Dispose();
        claim.Dispose();
        Assert.That(_bus.ReadMemory(_processor, Mapped, 4), Is.EqualTo(0xFFFF_FFFF));
        _bus.MapMemory(new(Mapped), 0x1000, _device);
        Assert.That(_bus.ReadMemory(_processor, Mapped, 4), Is.Zero);
    }

    [TestCase(0UL, 0x1000UL)]
    [TestCase(0xBFFF_FFFFUL, 2UL)]
    [TestCase(0xC000_0000UL, 0x4000_0001UL)]
    [TestCase(0x1_2000_0000UL, 1UL)]
    [TestCase(0xD000_0FFFUL, 1UL)]
    [TestCase(0xCFFF_FFFFUL, 2UL)]
    [TestCase(0xC000_0000UL, 0x4000_0000UL)]
    [TestCase(0xE000_0000UL, 0UL)]
    [TestCase(0xFFFF_FFFF_FFFF_FFFFUL, 2UL)]
    public void A_range_that_is_empty_wraps_or_overlaps_is_refused(ulong start, ulong length)
    {
        _bus.MapMemory(new(Mapped), 0x1000, _device);
        Assert.Throws<ArgumentException>(() => _bus.MapMemory(new(start), length, new RecordingDevice()));
    }

    [Test]
    public void Ranges_may_touch()
    {
        _bus.MapMemory(new(Mapped), 0x1000, _device);
        _bus.MapMemory(new(Mapped - 0x1000), 0x1000, _device);
        _bus.MapMemory(new(Mapped + 0x1000), 0x1000, _device);
        _bus.MapMemory(new(0x1_4000_0000), ulong.MaxValue - 0x1_4000_0000 + 1, _device);
        Assert.That(_bus.ReadMemory(_processor, Mapped - 0x1000, 1), Is.Zero);
    }

    [TestCase(0xFFFF, 2)]
    [TestCase(0x10, 0)]
    [TestCase(0x10, -1)]
    [TestCase(0x7F, 2)]
    [TestCase(0x83, 1)]
    [TestCase(0, int.MaxValue)]
    public void A_port_range_that_does_not_fit_is_refused(int start, int count)
    {
        _bus.MapPorts(0x80, 4, _device);
        Assert.Throws<ArgumentException>(() => _bus.MapPorts((ushort)start, count, _device));
    }

    [TestCase(0xFFFF_FFFFU, 2U)]
    [TestCase(0x800U, 0U)]
    [TestCase(0x8FFU, 1U)]
    public void An_msr_range_that_does_not_fit_is_refused(uint start, uint count)
    {
        _bus.MapMsrs(0x800, 0x100, new EchoMsr());
        Assert.Throws<ArgumentException>(() => _bus.MapMsrs(start, count, new EchoMsr()));
    }

    [Test]
    public void Unclaimed_msrs_fail_and_claimed_ones_answer()
    {
        var msr = new EchoMsr();
        _bus.MapMsrs(0x800, 0x100, msr);
        Assert.That(_bus.TryReadMsr(null!, 0x7FF, out _), Is.False);
        Assert.That(_bus.TryWriteMsr(null!, 0x900, 0), Is.False);
        Assert.That(_bus.TryWriteMsr(null!, 0x8FF, 7), Is.True);
        Assert.That(_bus.TryReadMsr(null!, 0x8FF, out ulong value), Is.True);
        Assert.That(value, Is.EqualTo(7));
    }

    [Test]
    public void Random_ranges_are_found_as_a_plain_search_finds_them()
    {
        var random = new Random(20240607);
        var claims = new List<(ulong Start, ulong Length, RecordingDevice Device, IDisposable Claim)>();
        for (int step = 0; step < 5000; step++)
        {
            ulong start = 0xC000_0000 + (ulong)random.Next(2048);
            ulong length = (ulong)random.Next(1, 32);
            if (claims.Count > 0 && random.Next(3) == 0)
            {
                int victim = random.Next(claims.Count);
                claims[victim].Claim.Dispose();
                claims.RemoveAt(victim);
            }
            else if (claims.Exists(c => start < c.Start + c.Length && c.Start < start + length))
            {
                Assert.Throws<ArgumentException>(() => _bus.MapMemory(new(start), length, _device));
            }
            else
            {
                var device = new RecordingDevice { Value = (byte)step };
                claims.Add((start, length, device, _bus.MapMemory(new(start), length, device)));
            }

            ulong probe = 0xC000_0000 + (ulong)random.Next(2048);
            var owner = claims.Find(c => probe >= c.Start && probe < c.Start + c.Length).Device;
            Assert.That(_bus.ReadMemory(_processor, probe, 1), Is.EqualTo((ulong)(owner?.Value ?? 0xFF)));
        }
    }

    [Test]
    public void A_device_is_told_which_processor_accesses_it_also_when_the_bus_splits_the_access()
    {
        WhoAmI device = new();
        _bus.MapMemory(new(Mapped), 0x1000, device);
        _bus.MapPorts(0x500, 4, device);
        Initiator second = new(1);
        Assert.Multiple(() =>
        {
            Assert.That(_bus.ReadMemory(_processor, Mapped, 4), Is.Zero);
            Assert.That(_bus.ReadMemory(second, Mapped, 4), Is.EqualTo(1));
            Assert.That(_bus.ReadMemory(second, Mapped + 1, 2), Is.EqualTo(0x101), "two bytes, each by itself");
            Assert.That(_bus.ReadPort(second, 0x500, 1), Is.EqualTo(1));
        });
        _bus.WriteMemory(second, Mapped + 1, 2, 0);
        _bus.WritePort(_processor, 0x500, 1, 0);
        Assert.That(device.Writers, Is.EqualTo(new[] { 1, 1, 0 }));
    }

    private sealed class RecordingDevice : IBusDevice
    {
        public byte[] Bytes { get; } = new byte[0x1000];

        public List<string> Log { get; } = [];

        public byte? Value { get; init; }

        public ulong Read(IProcessor processor, ulong offset, int size)
        {
            Log.Add($"R{offset:X}/{size}");
            ulong value = 0;
            for (int i = size - 1; i >= 0; i--)
            {
                value = (value << 8) | (Value ?? Bytes[(int)offset + i]);
            }

            return value;
        }

        public void Write(IProcessor processor, ulong offset, int size, ulong value)
        {
            Log.Add($"W{offset:X}/{size}");
            for (int i = 0; i < size; i++)
            {
                Bytes[(int)offset + i] = (byte)(value >> (i * 8));
            }
        }
    }

    /// <summary>Answers with the number of the processor that asks.</summary>
    private sealed class WhoAmI : IBusDevice
    {
        public List<int> Writers { get; } = [];

        public ulong Read(IProcessor processor, ulong offset, int size) => (ulong)processor.Index;

        public void Write(IProcessor processor, ulong offset, int size, ulong value) => Writers.Add(processor.Index);
    }

    private sealed class Initiator(int index) : IProcessor
    {
        public int Index => index;

        public void SetInterruptRequest(bool asserted) => throw new NotSupportedException();

        public void RaiseNmi() => throw new NotSupportedException();

        public void ConnectLocalApic(ILocalApic? localApic) => throw new NotSupportedException();

        public void SetCpuid(uint leaf, CpuidValues? values) => throw new NotSupportedException();
    }

    private sealed class EchoMsr : IMsrDevice
    {
        private ulong _value;

        public bool TryReadMsr(IProcessor processor, uint index, out ulong value)
        {
            value = _value;
            return true;
        }

        public bool TryWriteMsr(IProcessor processor, uint index, ulong value)
        {
            _value = value;
            return true;
        }
    }
}
