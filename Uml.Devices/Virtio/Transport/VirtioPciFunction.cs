using System.Buffers.Binary;
using Microsoft.Extensions.Logging;
using Uml.Core.Bus;
using Uml.Core.Machine;
using Uml.Core.Snapshots;
using Uml.Devices.Pci;
using Uml.Devices.Virtio.Device;

namespace Uml.Devices.Virtio.Transport;

/// <summary>
/// A virtio device on PCI (virtio 1.2, 4.1): the modern interface, with MSI-X, or the pin for drivers that use no messages.
/// </summary>
internal sealed class VirtioPciFunction : PciFunction, IBusDevice, IVirtioTransport, IDisposable
{
    /// <summary>Breaks that are logged for a device; a limit of ours, since each reset lets the driver break it again.</summary>
    private const int MaximumReports = 8;

    private readonly VirtioDevice _device;
    private readonly VirtioPciRegisters _registers;
    private readonly PciMsix _msix;
    private readonly ILogger _logger;
    private readonly int _access;
    private byte _interruptStatus;
    private int _reports;

    public VirtioPciFunction(IPciBus bus, string id, VirtioDevice device, ILogger logger)
        : base(bus, id, GetIdentity(device))
    {
        (_device, _logger) = (device, logger);
        AddBar(new PciBar { Index = VirtioPciLayout.RegistersBar, Length = VirtioPciLayout.RegistersLength, Kind = PciBarKind.Memory64, Device = this });

        // One for each queue, and one for the configuration.
        int vectors = device.QueueCount + 1;
        _msix = AddMsix(VirtioPciLayout.MsixBar, vectors);
        AddInterruptPin();
        AddStructure(VirtioPciLayout.CommonType, VirtioPciLayout.Common, VirtioPciLayout.CommonLength);
        AddStructure(VirtioPciLayout.NotifyType, VirtioPciLayout.Notify, VirtioPciLayout.Page);
        AddStructure(VirtioPciLayout.InterruptType, VirtioPciLayout.Interrupt, 1);
        if (device.ConfigurationLength != 0)
        {
            AddStructure(VirtioPciLayout.DeviceType, VirtioPciLayout.Device, device.ConfigurationLength);
        }

        _access = AddStructure(VirtioPciLayout.AccessType, 0, 0);
        _registers = new VirtioPciRegisters(device, vectors, Break);
    }

    IMachineContext IVirtioTransport.Machine => Machine!;

    /// <inheritdoc/>
    public ulong Read(IProcessor processor, ulong offset, int size) => ReadRegister(offset, size);

    /// <inheritdoc/>
    public void Write(IProcessor processor, ulong offset, int size, ulong value) => WriteRegister(offset, size, value);

    /// <inheritdoc/>
    public override uint ReadConfig(int offset, int size) =>
        IsWindow(offset) && TryGetWindow(out ulong target, out int length) ? (uint)ReadRegister(target, length) : base.ReadConfig(offset, size);

    /// <inheritdoc/>
    public override void WriteConfig(int offset, int size, uint value)
    {
        base.WriteConfig(offset, size, value);
        if (IsWindow(offset) && TryGetWindow(out ulong target, out int length))
        {
            WriteRegister(target, length, value);
        }
    }

    /// <inheritdoc/>
    public void InterruptQueue(int queue) => Interrupt(_registers.GetVector(queue), VirtioPciLayout.QueueInterrupt);

    /// <inheritdoc/>
    public void InterruptConfiguration()
    {
        _registers.AdvanceGeneration();
        Interrupt(_registers.ConfigVector, VirtioPciLayout.ConfigurationInterrupt);
    }

    /// <inheritdoc/>
    public void Break(string problem)
    {
        if (_reports++ < MaximumReports)
        {
            VirtioLog.NeedsReset(_logger, Id, problem);
        }

        _registers.SetNeedsReset();
        InterruptConfiguration();
    }

    /// <inheritdoc/>
    public void CompleteReset()
    {
        if (_registers.IsResetting)
        {
            _registers.Reset();
        }
    }

    /// <inheritdoc/>
    public void Dispose() => (_device as IDisposable)?.Dispose();

    /// <inheritdoc/>
    protected override void OnAttached(IMachineContext machine) => _device.Attach(this);

    /// <inheritdoc/>
    protected override void OnDetaching()
    {
        _device.WaitUntilIdle();
        _device.Reset();
        _device.Detach();
    }

    /// <inheritdoc/>
    protected override void ResetRegisters()
    {
        _device.WaitUntilIdle();
        _interruptStatus = 0;
        _registers.Reset();
    }

    /// <inheritdoc/>
    protected override void SaveRegisters(StateWriter state)
    {
        state.WriteVersion(1);
        state.Write(_interruptStatus);
        _registers.SaveState(state);
        _device.SaveState(state);
    }

    /// <inheritdoc/>
    protected override void RestoreRegisters(StateReader state)
    {
        state.ReadVersion(newest: 1);
        _interruptStatus = state.ReadByte();
        _registers.RestoreState(state);
        _device.RestoreState(state);
    }

    private static PciIdentity GetIdentity(VirtioDevice device) => new(
        VirtioPciLayout.Vendor, (ushort)(VirtioPciLayout.FirstDevice + device.Type), device.PciClass, VirtioPciLayout.Revision, VirtioPciLayout.Vendor, device.Type);

    /// <summary>Adds the capability that says where a structure is.</summary>
    private int AddStructure(byte type, int offset, int length)
    {
        // Behind the ID and the pointer to the next: cap_len, cfg_type, bar, id, two bytes of padding, offset, length.
        bool isLong = type is VirtioPciLayout.NotifyType or VirtioPciLayout.AccessType;
        int size = isLong ? VirtioPciLayout.LongCapabilitySize : VirtioPciLayout.CapabilitySize;
        Span<byte> capability = stackalloc byte[VirtioPciLayout.LongCapabilitySize];
        Span<byte> writable = stackalloc byte[VirtioPciLayout.LongCapabilitySize];
        capability.Clear();
        writable.Clear();
        capability[2] = (byte)size;
        capability[3] = type;
        capability[VirtioPciLayout.CapabilityBar] = type == VirtioPciLayout.AccessType ? (byte)0 : (byte)VirtioPciLayout.RegistersBar;
        BinaryPrimitives.WriteInt32LittleEndian(capability[VirtioPciLayout.CapabilityOffset..], offset);
        BinaryPrimitives.WriteInt32LittleEndian(capability[VirtioPciLayout.CapabilityLength..], length);
        if (type == VirtioPciLayout.NotifyType)
        {
            BinaryPrimitives.WriteInt32LittleEndian(capability[VirtioPciLayout.CapabilityData..], VirtioPciLayout.NotifyMultiplier);
        }
        else if (type == VirtioPciLayout.AccessType)
        {
            writable[VirtioPciLayout.CapabilityBar] = 0xFF;
            writable[VirtioPciLayout.CapabilityOffset..].Fill(0xFF);
        }

        return AddCapability(VirtioPciLayout.VendorCapability, capability[2..size], writable[2..size]);
    }

    private bool IsWindow(int offset) => offset == _access + VirtioPciLayout.CapabilityData;

    /// <summary>What the window in configuration space points to (virtio 1.2, 4.1.4.9).</summary>
    private bool TryGetWindow(out ulong offset, out int length)
    {
        offset = base.ReadConfig(_access + VirtioPciLayout.CapabilityOffset, sizeof(uint));
        length = (int)base.ReadConfig(_access + VirtioPciLayout.CapabilityLength, sizeof(uint));
        return base.ReadConfig(_access + VirtioPciLayout.CapabilityBar, 1) == VirtioPciLayout.RegistersBar && length is 1 or 2 or 4
            && offset % (ulong)length == 0 && offset <= VirtioPciLayout.RegistersLength - (ulong)length;
    }

    private ulong ReadRegister(ulong offset, int size)
    {
        int register = (int)offset % VirtioPciLayout.Page;
        switch ((int)offset - register)
        {
            case VirtioPciLayout.Common:
                return _registers.Read(register, size);
            case VirtioPciLayout.Interrupt when register == 0:
                // Reading acknowledges (virtio 1.2, 4.1.4.5).
                byte status = _interruptStatus;
                _interruptStatus = 0;
                SetInterrupt(false);
                return status;
            case VirtioPciLayout.Device:
                return ReadConfiguration(register, size);
            default:
                return 0;
        }
    }

    private void WriteRegister(ulong offset, int size, ulong value)
    {
        int register = (int)offset % VirtioPciLayout.Page;
        switch ((int)offset - register)
        {
            case VirtioPciLayout.Common:
                _registers.Write(register, size, value);
                break;
            case VirtioPciLayout.Notify when register / VirtioPciLayout.NotifyMultiplier < _device.Queues.Count:
                _device.Notify(register / VirtioPciLayout.NotifyMultiplier);
                break;
            case VirtioPciLayout.Device when register + size <= _device.ConfigurationLength:
                Span<byte> bytes = stackalloc byte[sizeof(ulong)];
                BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
                _device.WriteConfiguration(register, bytes[..size]);
                break;
        }
    }

    private ulong ReadConfiguration(int offset, int size)
    {
        if (offset + size > _device.ConfigurationLength)
        {
            return 0;
        }

        Span<byte> configuration = stackalloc byte[_device.ConfigurationLength];
        _device.ReadConfiguration(configuration);
        Span<byte> bytes = stackalloc byte[sizeof(ulong)];
        bytes.Clear();
        configuration.Slice(offset, size).CopyTo(bytes);
        return BinaryPrimitives.ReadUInt64LittleEndian(bytes);
    }

    private void Interrupt(ushort vector, byte status)
    {
        if (_msix.IsEnabled)
        {
            if (vector != VirtioPciLayout.NoVector)
            {
                _msix.Raise(vector);
            }

            return;
        }

        _interruptStatus |= status;
        SetInterrupt(true);
    }
}
