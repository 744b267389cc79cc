using Uml.Core.Sandbox;

namespace Uml.Hosting.Testing;

/// <summary>
/// The driver of a virtio device on PCI (virtio 1.2, 3 and 4.1), played by a test on a <see cref="DeviceSandbox"/> with the standard board: it finds
/// the device, agrees on features, sets queues up, notifies and takes interrupts.
/// </summary>
public sealed class VirtioPciDriver
{
    /// <summary>The vector of queue 0's interrupt; the next queues have those behind it, and the configuration the last.</summary>
    public const byte FirstVector = 0x60;

    // Device status (virtio 1.2, 2.1).
    private const byte Acknowledge = 1, Driver = 2, DriverOk = 4, FeaturesOk = 8;

    // Capabilities (virtio 1.2, 4.1.4), and the common configuration (4.1.4.3).
    private const byte VendorCapability = 0x09, MsixCapability = 0x11;
    private const int DeviceFeatureSelect = 0, DeviceFeature = 4, DriverFeatureSelect = 8, DriverFeature = 12, ConfigVectorField = 16, QueueCountField = 18,
        StatusField = 20, GenerationField = 21, QueueSelect = 22, QueueSizeField = 24, QueueVector = 26, QueueEnable = 28, QueueNotifyOffset = 30,
        QueueDescriptors = 32, QueueAvailable = 40, QueueUsed = 48;

    private const ulong LocalApic = 0xFEE0_0000, SpuriousVector = 0xF0, EndOfInterrupt = 0xB0;

    private readonly DeviceSandbox _sandbox;
    private readonly uint _function;
    private readonly ulong[] _structures = new ulong[6];
    private uint _notifyMultiplier;
    private int _msix;

    /// <summary>Finds the device and switches it on: memory, bus mastering and MSI-X.</summary>
    /// <param name="sandbox">The machine.</param>
    /// <param name="deviceType">Its type, 2 for a disk (virtio 1.2, 5).</param>
    /// <param name="skip">How many of the type come before it on the bus.</param>
    /// <exception cref="InvalidOperationException">There is no such device.</exception>
    public VirtioPciDriver(DeviceSandbox sandbox, int deviceType, int skip = 0)
    {
        ArgumentNullException.ThrowIfNull(sandbox);
        _sandbox = sandbox;
        _function = Find(deviceType, skip);
        FindStructures();
        WriteConfig(0x04, ReadConfig(0x04) | 0x6);
        sandbox.WriteMemory(LocalApic + SpuriousVector, 4, 0x1FF);
        EnableMessages();
    }

    /// <summary>Features that the device offers.</summary>
    public ulong DeviceFeatures
    {
        get
        {
            Write(DeviceFeatureSelect, 4, 0);
            ulong low = Read(DeviceFeature, 4);
            Write(DeviceFeatureSelect, 4, 1);
            return low | (Read(DeviceFeature, 4) << 32);
        }
    }

    /// <summary>The device status field.</summary>
    public byte Status
    {
        get => (byte)Read(StatusField, 1);
        set => Write(StatusField, 1, value);
    }

    /// <summary>How many queues the device has.</summary>
    public int QueueCount => (int)Read(QueueCountField, 2);

    /// <summary>How often the device's configuration has changed, modulo 256.</summary>
    public byte ConfigurationGeneration => (byte)Read(GenerationField, 1);

    /// <summary>Resets the device, lets it finish what is under way, and agrees on features with it.</summary>
    /// <param name="features">Those that the driver wants; those that the device does not offer are left out.</param>
    /// <returns>What was agreed on.</returns>
    /// <exception cref="InvalidOperationException">The device does not agree.</exception>
    public ulong Negotiate(ulong features)
    {
        Reset();
        Status = Acknowledge | Driver;
        features &= DeviceFeatures;
        WriteFeatures(features);
        Status = Acknowledge | Driver | FeaturesOk;
        return (Status & FeaturesOk) != 0 ? features : throw new InvalidOperationException($"The device does not accept the features 0x{features:x}.");
    }

    /// <summary>Says which features the driver accepts, without looking at what is offered.</summary>
    /// <param name="features">Any bits.</param>
    public void WriteFeatures(ulong features)
    {
        Write(DriverFeatureSelect, 4, 0);
        Write(DriverFeature, 4, (uint)features);
        Write(DriverFeatureSelect, 4, 1);
        Write(DriverFeature, 4, features >> 32);
    }

    /// <summary>Lays a queue out in the guest's memory and gives it to the device.</summary>
    /// <param name="index">The queue.</param>
    /// <param name="address">Where, aligned to 4096.</param>
    /// <param name="size">Descriptors; null for as many as the device lets it have.</param>
    public VirtioDriverQueue SetUpQueue(int index, ulong address, ushort? size = null)
    {
        Write(QueueSelect, 2, (ulong)index);
        ushort chosen = size ?? (ushort)Read(QueueSizeField, 2);
        VirtioDriverQueue queue = new(_sandbox.Memory, address, chosen);
        Write(QueueSizeField, 2, chosen);
        Write(QueueVector, 2, (ulong)index);
        WriteAddress(QueueDescriptors, queue.Descriptors);
        WriteAddress(QueueAvailable, queue.Available);
        WriteAddress(QueueUsed, queue.Used);
        Write(QueueEnable, 2, 1);
        return queue;
    }

    /// <summary>Tells the device that everything is set up.</summary>
    public void Start()
    {
        Write(ConfigVectorField, 2, (ulong)QueueCount);
        Status = Acknowledge | Driver | FeaturesOk | DriverOk;
    }

    /// <summary>Resets the device and waits until it says that it is.</summary>
    /// <exception cref="TimeoutException">It does not within ten seconds of guest time.</exception>
    public void Reset()
    {
        Status = 0;
        for (int i = 0; Status != 0; i++)
        {
            if (i == 10_000)
            {
                throw new TimeoutException($"The device's status is 0x{Status:x} ten seconds behind a reset.");
            }

            _sandbox.Advance(1_000_000);
        }
    }

    /// <summary>Tells the device that a queue has something for it.</summary>
    /// <param name="queue">The queue.</param>
    public void Notify(int queue)
    {
        Write(QueueSelect, 2, (ulong)queue);
        _sandbox.WriteMemory(_structures[2] + (Read(QueueNotifyOffset, 2) * _notifyMultiplier), 2, (ulong)queue);
    }

    /// <summary>Takes an interrupt of the device.</summary>
    /// <returns>The queue; <see cref="QueueCount"/> for the configuration; -1 when there is none.</returns>
    public int TakeInterrupt()
    {
        int vector = _sandbox.Processors[0].AcknowledgeInterrupt();
        if (vector < 0)
        {
            return -1;
        }

        _sandbox.WriteMemory(LocalApic + EndOfInterrupt, 4, 0);
        return vector - FirstVector;
    }

    /// <summary>Reads the device's own configuration.</summary>
    /// <param name="offset">The first byte.</param>
    /// <param name="size">1, 2, 4 or 8.</param>
    public ulong ReadDevice(int offset, int size) => _sandbox.ReadMemory(_structures[4] + (ulong)offset, size);

    /// <summary>Reads a register of the common configuration.</summary>
    /// <param name="offset">Its offset (virtio 1.2, 4.1.4.3).</param>
    /// <param name="size">1, 2, 4 or 8.</param>
    public ulong Read(int offset, int size) => _sandbox.ReadMemory(_structures[1] + (ulong)offset, size);

    /// <summary>Writes a register of the common configuration.</summary>
    /// <param name="offset">Its offset.</param>
    /// <param name="size">1, 2, 4 or 8.</param>
    /// <param name="value">The value.</param>
    public void Write(int offset, int size, ulong value) => _sandbox.WriteMemory(_structures[1] + (ulong)offset, size, value);

    /// <summary>Reads four bytes of the function's configuration space.</summary>
    /// <param name="offset">A multiple of 4 below 256.</param>
    public uint ReadConfig(int offset)
    {
        _sandbox.WritePort(0xCF8, 4, _function | (uint)offset);
        return (uint)_sandbox.ReadPort(0xCFC, 4);
    }

    /// <summary>Writes four bytes of the function's configuration space.</summary>
    /// <param name="offset">A multiple of 4 below 256.</param>
    /// <param name="value">The value.</param>
    public void WriteConfig(int offset, uint value)
    {
        _sandbox.WritePort(0xCF8, 4, _function | (uint)offset);
        _sandbox.WritePort(0xCFC, 4, value);
    }

    private uint Find(int deviceType, int skip)
    {
        for (uint device = 1; device < 32; device++)
        {
            uint function = 0x8000_0000 | (device << 11);
            _sandbox.WritePort(0xCF8, 4, function);
            if ((uint)_sandbox.ReadPort(0xCFC, 4) == (0x1AF4 | ((0x1040U + (uint)deviceType) << 16)) && skip-- == 0)
            {
                return function;
            }
        }

        throw new InvalidOperationException($"The bus has no such virtio device of type {deviceType}.");
    }

    private void FindStructures()
    {
        for (int at = (int)ReadConfig(0x34) & 0xFC; at != 0; at = (int)(ReadConfig(at) >> 8) & 0xFC)
        {
            uint header = ReadConfig(at);
            switch ((byte)header)
            {
                case MsixCapability:
                    _msix = at;
                    break;
                case VendorCapability when header >> 24 is >= 1 and <= 4:
                    _structures[header >> 24] = ReadBar((int)ReadConfig(at + 4) & 0xFF) + ReadConfig(at + 8);
                    _notifyMultiplier = header >> 24 == 2 ? ReadConfig(at + 16) : _notifyMultiplier;
                    break;
            }
        }
    }

    private ulong ReadBar(int index)
    {
        uint low = ReadConfig(0x10 + (4 * index));
        return (low & 0x6) == 4 ? (low & ~0xFU) | ((ulong)ReadConfig(0x14 + (4 * index)) << 32) : low & ~0xFU;
    }

    private void EnableMessages()
    {
        uint control = ReadConfig(_msix);
        uint table = ReadConfig(_msix + 4);
        ulong address = ReadBar((int)table & 7) + (table & ~7U);
        for (uint vector = 0; vector <= (control >> 16 & 0x7FF); vector++)
        {
            _sandbox.WriteMemory(address + (vector * 16), 4, LocalApic);
            _sandbox.WriteMemory(address + (vector * 16) + 4, 4, 0);
            _sandbox.WriteMemory(address + (vector * 16) + 8, 4, FirstVector + vector);
            _sandbox.WriteMemory(address + (vector * 16) + 12, 4, 0);
        }

        WriteConfig(_msix, control | 0x8000_0000);
    }

    private void WriteAddress(int offset, ulong address)
    {
        Write(offset, 4, (uint)address);
        Write(offset + 4, 4, address >> 32);
    }
}
