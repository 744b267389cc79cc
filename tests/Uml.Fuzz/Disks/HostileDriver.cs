using System.Buffers.Binary;
using Uml.Core.Machine;
using Uml.Core.Snapshots;
using Uml.Fuzz.Running;
using Uml.Hosting.Testing;

namespace Uml.Fuzz.Disks;

/// <summary>A driver that does anything to a device but obey: its registers, its queue in memory, its state.</summary>
internal sealed class HostileDriver
{
    private const int RegistersEnd = 64, DescriptorSize = 16;
    private const ushort HasNext = 1, IsIndirect = 4;

    private static readonly string[] s_devices = [VirtqueueBench.DiskId, VirtqueueBench.EntropyId];

    private readonly VirtqueueBench _bench;
    private readonly FuzzRandom _random;
    private readonly VirtioPciDriver _driver;
    private readonly string _id;
    private readonly ulong _rings;
    private VirtioDriverQueue _queue;

    public HostileDriver(VirtqueueBench bench)
    {
        (_bench, _random) = (bench, bench.Random);
        bool isDisk = !_random.OneIn(4);
        (_driver, _id, _rings) = isDisk
            ? (bench.DiskDriver, s_devices[0], VirtqueueBench.DiskRings)
            : (bench.EntropyDriver, s_devices[1], VirtqueueBench.EntropyRings);
        _queue = Start();
    }

    /// <summary>Whether it changed what a driver cannot put right, and a reboot has to.</summary>
    public bool NeedsReboot { get; private set; }

    public void Run(int attacks)
    {
        for (int i = 0; i < attacks; i++)
        {
            AttackOnce();
            if (_random.OneIn(3))
            {
                _driver.Notify(0);
            }
        }
    }

    private VirtioDriverQueue Start()
    {
        _bench.Reset(_driver);
        _driver.Negotiate((1UL << 32) | (_random.OneIn(2) ? ulong.MaxValue : _random.UInt64()));
        VirtioDriverQueue queue = _driver.SetUpQueue(0, _rings, (ushort)(1 << _random.Below(7)));
        if (_random.OneIn(4))
        {
            MoveRings();
        }

        _driver.Start();
        return queue;
    }

    private void AttackOnce()
    {
        switch (_random.Below(20))
        {
            case 0:
                _driver.Write(_random.Below(RegistersEnd), 1 << _random.Below(4), _random.Nasty());
                break;
            case 1:
                _driver.Read(_random.Below(RegistersEnd), 1 << _random.Below(4));
                _driver.ReadDevice(_random.Below(70), 1 << _random.Below(4));
                break;
            case 2:
                _driver.Status = (byte)_random.UInt64();
                break;
            case 3 or 4 or 5:
                WriteDescriptor(_queue.DescriptorAddress((ushort)_random.Below(_queue.Size)));
                break;
            case 6:
                _queue.Publish((ushort)(_random.OneIn(3) ? _random.Nasty() : (ulong)_random.Below(_queue.Size)));
                break;
            case 7:
                WriteIndex();
                break;
            case 8:
                WriteTable();
                break;
            case 9 or 10 or 11 or 12:
                Request();
                break;
            case 13:
                _bench.Write(_queue.Descriptors + (ulong)_random.Below((int)(_queue.Used - _queue.Descriptors)), _random.Bytes(_random.Below(64)));
                break;
            case 14:
                _bench.Sandbox.Advance((ulong)_random.Below(200_000));
                break;
            case 15:
                _driver.TakeInterrupt();
                break;
            case 16:
                ChangeState();
                break;
            case 17:
                _bench.Disk.Resize(_random);
                break;
            case 18 when _random.OneIn(3):
                WriteConfiguration();
                break;
            case 18:
                _driver.Notify(0);
                break;
            default:
                // What it has done to the bus may keep it from reaching the device.
                _queue = NeedsReboot ? _queue : Start();
                break;
        }
    }

    private ulong Address() => _random.Below(6) switch
    {
        0 => _random.Nasty(),
        1 => (ulong)(VirtqueueBench.MemorySize - _random.Below(5000)),
        2 => 0xFEE0_0000 + (ulong)_random.Below(4096),
        3 => _rings + (ulong)_random.Below(0x1000),
        _ => VirtqueueBench.Data + (ulong)_random.Below(0x10_0000),
    };

    private uint Length() => _random.Below(4) switch
    {
        0 => (uint)_random.Nasty(),
        1 => (uint)_random.Below(1 << 20),
        _ => (uint)_random.Below(5000),
    };

    /// <summary>Gives the queue other addresses, sizes and vectors than it has, enabled as it is or not yet.</summary>
    private void MoveRings()
    {
        const int queueSize = 24, queueEnable = 28, firstAddress = 32;
        _driver.Write(queueSize, 2, _random.OneIn(2) ? (ulong)(1 << _random.Below(10)) : _random.Nasty());
        for (int i = 0; i < 3; i++)
        {
            _driver.Write(firstAddress + (8 * i), 8, Address() & ~(ulong)(_random.OneIn(4) ? 0 : 15));
        }

        _driver.Write(queueEnable, 2, 1);
    }

    private void WriteDescriptor(ulong address)
    {
        ushort flags = (ushort)(_random.OneIn(8) ? _random.UInt64() : (_random.OneIn(2) ? HasNext : 0UL) | (_random.OneIn(6) ? IsIndirect : 0UL));
        ushort next = (ushort)(_random.OneIn(6) ? _random.Nasty() : (ulong)_random.Below(_queue.Size));
        _queue.WriteDescriptor(address, new(Address(), Length(), _random.OneIn(2)), flags, next);
    }

    private void WriteIndex()
    {
        Span<byte> index = stackalloc byte[2];
        BinaryPrimitives.WriteUInt16LittleEndian(index, (ushort)(_queue.AvailableIndex + _random.Below(_random.OneIn(2) ? 0x1_0000 : 8)));
        _bench.Write(_queue.Available + (_random.OneIn(3) ? 0UL : 2), index);
    }

    private void WriteTable()
    {
        ulong table = VirtqueueBench.Data + 0x8_0000;
        int count = 1 + _random.Below(_random.OneIn(8) ? 2000 : 20);
        for (int i = 0; i < count; i++)
        {
            VirtioBuffer buffer = new(Address(), _random.OneIn(2) ? 1 : Length(), i > count / 2);
            _queue.WriteDescriptor(table + ((ulong)i * DescriptorSize), buffer, HasNext, (ushort)(_random.OneIn(20) ? _random.Below(count) : i + 1));
        }

        uint length = _random.OneIn(8) ? (uint)_random.Nasty() : (uint)(count * DescriptorSize);
        ushort head = (ushort)_random.Below(_queue.Size);
        _queue.WriteDescriptor(_queue.DescriptorAddress(head), new(table, length, _random.OneIn(8)), IsIndirect, 0);
        _queue.Publish(head);
    }

    /// <summary>A request that is one, but for what it says.</summary>
    private void Request()
    {
        ushort head = (ushort)_random.Below(_queue.Size), data = (ushort)_random.Below(_queue.Size), result = (ushort)_random.Below(_queue.Size);
        ulong header = VirtqueueBench.Data + (ulong)(_random.Below(64) * 0x100);
        Span<byte> bytes = stackalloc byte[48];
        _random.Fill(bytes);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, (uint)(_random.OneIn(8) ? _random.Nasty() : (ulong)_random.Below(15)));
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[8..], _random.OneIn(3) ? _random.Nasty() : (ulong)_random.Below(2100));
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[16..], _random.OneIn(3) ? _random.Nasty() : (ulong)_random.Below(2100));
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[24..], _random.OneIn(3) ? (uint)_random.Nasty() : (uint)_random.Below(100));
        _bench.Write(header, bytes);
        _queue.WriteDescriptor(_queue.DescriptorAddress(head), new(header, 16, false), HasNext, data);
        bool isSmall = _random.OneIn(2);
        _queue.WriteDescriptor(
            _queue.DescriptorAddress(data),
            new(isSmall ? header + 16 : Address(), isSmall ? 16 : Length() & ~511U, _random.OneIn(2)),
            HasNext,
            result);
        _queue.WriteDescriptor(_queue.DescriptorAddress(result), new(_random.OneIn(6) ? Address() : header + 64, 1, true), 0, 0);
        _queue.Publish(head);
    }

    private void ChangeState()
    {
        IMachineDevice device = _bench.Sandbox.Devices.Find(_id)!;
        byte[] state = DeviceState.Save(device);
        if (_random.OneIn(2))
        {
            DeviceState.Restore(device, state);
            return;
        }

        try
        {
            DeviceState.Restore(device, Mutator.Mutate(_random, state, state.Length));
        }
        catch (StateFormatException)
        {
            // A reset has to follow, by a reboot: the registers of the bus may be of either state.
        }

        NeedsReboot = true;
    }

    /// <summary>Changes registers of PCI: what is decoded where, messages, the window to the device's registers.</summary>
    private void WriteConfiguration()
    {
        int at = _random.Below(64) * 4;
        _driver.ReadConfig(at);
        _driver.WriteConfig(at, (uint)_random.Nasty());
        NeedsReboot = true;
    }
}
