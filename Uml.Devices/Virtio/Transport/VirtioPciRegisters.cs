using Uml.Core.Snapshots;
using Uml.Devices.Virtio.Device;
using Uml.Devices.Virtio.Queue;

namespace Uml.Devices.Virtio.Transport;

/// <summary>The common configuration of a virtio device on PCI, by which the driver sets it up (virtio 1.2, 4.1.4.3 and 3.1.1).</summary>
internal sealed class VirtioPciRegisters(VirtioDevice device, int vectorCount, Action<string> breakDevice) : IStateful
{
    /// <summary>All features: of the device, and of our queues.</summary>
    private const ulong QueueFeatures = VirtioFeature.Version1 | VirtioFeature.IndirectDescriptors | VirtioFeature.EventIndex;

    private readonly VirtioDevice _device = device;
    private ushort[] _queueVectors = [];
    private uint _deviceFeatureSelect, _driverFeatureSelect;
    private ulong _driverFeatures;
    private ushort _queueSelect;
    private byte _generation;

    public byte Status { get; private set; }

    public ushort ConfigVector { get; private set; } = VirtioPciLayout.NoVector;

    /// <summary>Whether a reset waits for requests under way.</summary>
    public bool IsResetting { get; private set; }

    private ulong Offered => _device.OwnFeatures | QueueFeatures;

    private SplitQueue? Selected => _queueSelect < _device.Queues.Count ? _device.Queues[_queueSelect] : null;

    /// <summary>The vector of a queue.</summary>
    public ushort GetVector(int queue) => _queueVectors[queue];

    public ulong Read(int offset, int size)
    {
        SplitQueue? queue = Selected;
        return (offset, size) switch
        {
            (VirtioPciLayout.DeviceFeatureSelect, 4) => _deviceFeatureSelect,
            (VirtioPciLayout.DeviceFeature, 4) => Half(Offered, _deviceFeatureSelect),
            (VirtioPciLayout.DriverFeatureSelect, 4) => _driverFeatureSelect,
            (VirtioPciLayout.DriverFeature, 4) => Half(_driverFeatures, _driverFeatureSelect),
            (VirtioPciLayout.ConfigVector, 2) => ConfigVector,
            (VirtioPciLayout.QueueCount, 2) => (ulong)_device.Queues.Count,

            // Not 0 before the reset is complete.
            (VirtioPciLayout.Status, 1) => IsResetting ? VirtioStatus.NeedsReset : Status,
            (VirtioPciLayout.Generation, 1) => _generation,
            (VirtioPciLayout.QueueSelect, 2) => _queueSelect,
            (VirtioPciLayout.QueueSize, 2) => queue?.Size ?? 0UL,
            (VirtioPciLayout.QueueVector, 2) => queue is null ? VirtioPciLayout.NoVector : _queueVectors[_queueSelect],
            (VirtioPciLayout.QueueEnable, 2) => queue is { IsEnabled: true } ? 1UL : 0,
            (VirtioPciLayout.QueueNotifyOffset, 2) => queue is null ? 0UL : _queueSelect,
            ( >= VirtioPciLayout.QueueDescriptors and < VirtioPciLayout.CommonLength, 4 or 8) when queue is not null => ReadAddress(queue, offset, size),
            _ => 0,
        };
    }

    public void Write(int offset, int size, ulong value)
    {
        switch (offset, size)
        {
            case (VirtioPciLayout.DeviceFeatureSelect, 4): _deviceFeatureSelect = (uint)value; break;
            case (VirtioPciLayout.DriverFeatureSelect, 4): _driverFeatureSelect = (uint)value; break;
            case (VirtioPciLayout.DriverFeature, 4): WriteFeatures((uint)value); break;
            case (VirtioPciLayout.ConfigVector, 2): ConfigVector = CheckVector((ushort)value); break;
            case (VirtioPciLayout.Status, 1): WriteStatus((byte)value); break;
            case (VirtioPciLayout.QueueSelect, 2): _queueSelect = (ushort)value; break;
            default:
                if (Selected is { } queue && !IsResetting)
                {
                    WriteQueue(queue, offset, size, value);
                }

                break;
        }
    }

    /// <summary>The configuration of the device changes.</summary>
    public void AdvanceGeneration() => _generation++;

    /// <summary>The device cannot go on until the driver resets it.</summary>
    public void SetNeedsReset() => Status |= VirtioStatus.NeedsReset;

    /// <summary>The state after power-on and after a reset by the driver. The device has nothing under way.</summary>
    public void Reset()
    {
        IsResetting = false;
        Status = 0;
        _driverFeatures = 0;
        (_deviceFeatureSelect, _driverFeatureSelect, _queueSelect) = (0, 0, 0);
        ConfigVector = VirtioPciLayout.NoVector;
        if (_queueVectors.Length != _device.Queues.Count)
        {
            _queueVectors = new ushort[_device.Queues.Count];
        }

        Array.Fill(_queueVectors, VirtioPciLayout.NoVector);
        _device.Reset();
    }

    public void SaveState(StateWriter state)
    {
        state.Write(Status);
        state.Write(IsResetting);
        state.Write(_generation);
        state.Write(_driverFeatures);
        state.Write(_deviceFeatureSelect);
        state.Write(_driverFeatureSelect);
        state.Write(_queueSelect);
        state.Write(ConfigVector);
        foreach (ushort vector in _queueVectors)
        {
            state.Write(vector);
        }
    }

    public void RestoreState(StateReader state)
    {
        Status = state.ReadByte();
        IsResetting = state.ReadBoolean();
        _generation = state.ReadByte();
        _driverFeatures = state.ReadUInt64();
        _deviceFeatureSelect = state.ReadUInt32();
        _driverFeatureSelect = state.ReadUInt32();
        _queueSelect = state.ReadUInt16();
        ConfigVector = CheckVector(state.ReadUInt16());
        foreach (ref ushort vector in _queueVectors.AsSpan())
        {
            vector = CheckVector(state.ReadUInt16());
        }
    }

    private static uint Half(ulong features, uint select) => select switch { 0 => (uint)features, 1 => (uint)(features >> 32), _ => 0 };

    private static ulong ReadAddress(SplitQueue queue, int offset, int size)
    {
        ulong address = (offset & ~7) switch
        {
            VirtioPciLayout.QueueDescriptors => queue.Descriptors,
            VirtioPciLayout.QueueAvailable => queue.Available,
            _ => queue.Used,
        };
        return size == 8 ? address : (uint)(address >> (8 * (offset & 7)));
    }

    /// <summary>A vector that there is, or none (virtio 1.2, 4.1.4.3.2: reading back tells the driver).</summary>
    private ushort CheckVector(ushort vector) => vector < vectorCount ? vector : VirtioPciLayout.NoVector;

    private void WriteFeatures(uint value)
    {
        if ((Status & VirtioStatus.FeaturesOk) != 0)
        {
            return;
        }

        _driverFeatures = _driverFeatureSelect switch
        {
            0 => (_driverFeatures & ~(ulong)uint.MaxValue) | value,
            1 => (_driverFeatures & uint.MaxValue) | ((ulong)value << 32),
            _ => _driverFeatures,
        };
    }

    private void WriteStatus(byte value)
    {
        if (value == 0)
        {
            BeginReset();
            return;
        }

        if (IsResetting)
        {
            return;
        }

        // A driver without VIRTIO_F_VERSION_1 is one of the legacy interface, which we do not have: it reads that we do not agree.
        bool isAgreed = (_driverFeatures & ~Offered) == 0 && (_driverFeatures & VirtioFeature.Version1) != 0;
        if ((value & VirtioStatus.FeaturesOk) != 0 && !isAgreed)
        {
            value &= unchecked((byte)~VirtioStatus.FeaturesOk);
        }

        bool begins = (value & VirtioStatus.DriverOk) != 0 && (Status & VirtioStatus.DriverOk) == 0 && (value & VirtioStatus.FeaturesOk) != 0;
        Status = (byte)(value | (Status & VirtioStatus.NeedsReset));
        if (begins)
        {
            _device.Activate(_driverFeatures);
        }
    }

    /// <summary>A reset is complete once nothing writes to the guest's memory any more; the driver waits until it reads 0 (virtio 1.2, 4.1.4.3.1).</summary>
    private void BeginReset()
    {
        if (_device.IsBusy)
        {
            IsResetting = true;
            _device.Deactivate();
        }
        else
        {
            Reset();
        }
    }

    private void WriteQueue(SplitQueue queue, int offset, int size, ulong value)
    {
        switch (offset, size)
        {
            case (VirtioPciLayout.QueueVector, 2): _queueVectors[_queueSelect] = CheckVector((ushort)value); break;
            case (VirtioPciLayout.QueueEnable, 2) when value == 1 && !queue.IsEnabled: Enable(queue); break;
            case (VirtioPciLayout.QueueSize, 2) when !queue.IsEnabled:
                queue.TrySetSize((ushort)value);
                break;
            case ( >= VirtioPciLayout.QueueDescriptors and < VirtioPciLayout.CommonLength, 4 or 8) when !queue.IsEnabled:
                WriteAddress(queue, offset, size, value);
                break;
        }
    }

    private void Enable(SplitQueue queue)
    {
        try
        {
            queue.Enable();
        }
        catch (VirtioGuestErrorException error)
        {
            breakDevice($"queue {_queueSelect}: {error.Message}");
        }
    }

    private static void WriteAddress(SplitQueue queue, int offset, int size, ulong value)
    {
        int shift = 8 * (offset & 7);
        ulong mask = size == 8 ? ulong.MaxValue : (ulong)uint.MaxValue << shift;
        ulong Merge(ulong old) => (old & ~mask) | ((value << shift) & mask);
        switch (offset & ~7)
        {
            case VirtioPciLayout.QueueDescriptors: queue.Descriptors = Merge(queue.Descriptors); break;
            case VirtioPciLayout.QueueAvailable: queue.Available = Merge(queue.Available); break;
            default: queue.Used = Merge(queue.Used); break;
        }
    }
}
