using System.Buffers.Binary;
using System.Numerics;
using Uml.Core.Bus;
using Uml.Devices.Platform;

namespace Uml.Devices.Pci;

/// <summary>Who a PCI function says it is.</summary>
/// <param name="Vendor">Vendor ID.</param>
/// <param name="Device">Device ID.</param>
/// <param name="ClassCode">Base class, subclass and interface: 24 bits.</param>
/// <param name="Revision">Revision ID.</param>
/// <param name="SubsystemVendor">Subsystem vendor ID.</param>
/// <param name="Subsystem">Subsystem ID.</param>
internal readonly record struct PciIdentity(
    ushort Vendor, ushort Device, uint ClassCode, byte Revision = 0, ushort SubsystemVendor = 0, ushort Subsystem = 0);

/// <summary>
/// The configuration space of one PCI function (PCI Local Bus Specification 3.0, chapter 6): bytes, and which of their bits the guest
/// may change. It maps its base address registers while memory decoding is on and they lie in a window of the host bridge.
/// </summary>
internal class PciFunction
{
    private const int BarCount = 6;
    private const byte BarType64 = 0x04;
    private const byte BarPrefetchable = 0x08;
    private const ulong BarFlags = 0xF;
    private const ulong SmallestBar = 16;

    private readonly byte[] _config = new byte[PciConfig.Length];
    private readonly byte[] _writable = new byte[PciConfig.Length];
    private readonly Bar?[] _bars = new Bar?[BarCount];
    private IMachineBus? _bus;
    private int _nextCapability = PciConfig.FirstCapability;
    private int _lastCapability = PciConfig.CapabilitiesPointer;

    /// <summary>Makes a function without base address registers and capabilities.</summary>
    public PciFunction(in PciIdentity identity)
    {
        Set16(PciConfig.VendorId, identity.Vendor);
        Set16(PciConfig.DeviceId, identity.Device);
        _config[PciConfig.Revision] = identity.Revision;
        _config[PciConfig.ClassCode] = (byte)identity.ClassCode;
        Set16(PciConfig.ClassCode + 1, (ushort)(identity.ClassCode >> 8));
        Set16(PciConfig.SubsystemVendorId, identity.SubsystemVendor);
        Set16(PciConfig.SubsystemId, identity.Subsystem);
        SetWritable16(PciConfig.Command, PciConfig.CommandMemory | PciConfig.CommandBusMaster | PciConfig.CommandInterruptDisable);
        _writable[PciConfig.InterruptLine] = 0xFF;
    }

    private sealed class Bar(ulong length, bool is64Bit, IBusDevice device)
    {
        public ulong Length { get; } = length;

        public bool Is64Bit { get; } = is64Bit;

        public IBusDevice Device { get; } = device;

        public ulong MappedAt { get; set; }

        public IDisposable? Claim { get; set; }
    }

    /// <summary>Whether the guest lets the function access memory by itself.</summary>
    public bool IsBusMaster => (Get16(PciConfig.Command) & PciConfig.CommandBusMaster) != 0;

    /// <summary>Adds a memory base address register; one of 64 bits takes two.</summary>
    /// <param name="index">0 to 5.</param>
    /// <param name="length">A power of two, at least 16 bytes.</param>
    /// <param name="is64Bit">Whether it may lie above 4 GiB.</param>
    /// <param name="isPrefetchable">Whether reads have no side effects.</param>
    /// <param name="device">What answers.</param>
    /// <exception cref="ArgumentException">The length is not one that a register can express, or the register is taken.</exception>
    public void AddBar(int index, ulong length, bool is64Bit, bool isPrefetchable, IBusDevice device)
    {
        int registers = is64Bit ? 2 : 1;
        if (index < 0 || index + registers > BarCount || IsBarTaken(index) || (is64Bit && IsBarTaken(index + 1)))
        {
            throw new ArgumentException($"Base address register {index} does not exist or is taken.", nameof(index));
        }

        if (!BitOperations.IsPow2(length) || length < SmallestBar || (!is64Bit && length > MemoryMap.PciWindow32Length))
        {
            throw new ArgumentException($"A base address register cannot cover 0x{length:x} bytes: use a power of two from 16.", nameof(length));
        }

        _bars[index] = new Bar(length, is64Bit, device);
        int offset = BarOffset(index);
        _config[offset] = (byte)((is64Bit ? BarType64 : 0) | (isPrefetchable ? BarPrefetchable : 0));
        ulong mask = ~(length - 1);
        SetWritable32(offset, (uint)mask);
        if (is64Bit)
        {
            SetWritable32(offset + sizeof(uint), (uint)(mask >> 32));
        }
    }

    /// <summary>Appends a capability (PCI Local Bus Specification 3.0, 6.7).</summary>
    /// <param name="id">Capability ID.</param>
    /// <param name="body">What follows the ID and the next pointer.</param>
    /// <param name="writable">Which bits of the body the guest may change; empty for none.</param>
    /// <returns>Where the capability begins.</returns>
    /// <exception cref="InvalidOperationException">Configuration space is full.</exception>
    public int AddCapability(byte id, ReadOnlySpan<byte> body, ReadOnlySpan<byte> writable = default)
    {
        const int HeaderLength = 2;
        int offset = _nextCapability;
        int end = offset + HeaderLength + body.Length;
        if (end > PciConfig.CapabilitiesEnd)
        {
            throw new InvalidOperationException($"Capability 0x{id:x} does not fit: {PciConfig.CapabilitiesEnd - offset} bytes are left.");
        }

        _config[_lastCapability] = (byte)offset;
        _config[offset] = id;
        body.CopyTo(_config.AsSpan(offset + HeaderLength));
        writable.CopyTo(_writable.AsSpan(offset + HeaderLength));
        Set16(PciConfig.Status, (ushort)(Get16(PciConfig.Status) | PciConfig.StatusCapabilities));
        _lastCapability = offset + 1;
        _nextCapability = (end + 3) & ~3;
        return offset;
    }

    /// <summary>Connects the function to the machine and, as firmware does, gives its base address registers places.</summary>
    internal void Connect(IMachineBus bus, PciWindows windows)
    {
        _bus = bus;
        for (int i = 0; i < BarCount; i++)
        {
            if (_bars[i] is { } bar)
            {
                ulong address = windows.Allocate(bar.Length, bar.Is64Bit);
                Set32(BarOffset(i), (Get32(BarOffset(i)) & (uint)BarFlags) | (uint)address);
                if (bar.Is64Bit)
                {
                    Set32(BarOffset(i + 1), (uint)(address >> 32));
                }
            }
        }
    }

    /// <summary>Reads configuration space.</summary>
    /// <param name="offset">0 to 4095, aligned to <paramref name="size"/>.</param>
    /// <param name="size">1, 2 or 4.</param>
    public virtual uint ReadConfig(int offset, int size)
    {
        uint value = 0;
        for (int i = size - 1; i >= 0; i--)
        {
            value = (value << 8) | _config[offset + i];
        }

        return value;
    }

    /// <summary>Writes configuration space.</summary>
    /// <param name="offset">0 to 4095, aligned to <paramref name="size"/>.</param>
    /// <param name="size">1, 2 or 4.</param>
    /// <param name="value">The value.</param>
    public virtual void WriteConfig(int offset, int size, uint value)
    {
        for (int i = 0; i < size; i++)
        {
            byte mask = _writable[offset + i];
            _config[offset + i] = (byte)((_config[offset + i] & ~mask) | ((byte)(value >> (i * 8)) & mask));
        }

        if (offset is >= PciConfig.FirstBar and < PciConfig.FirstBar + (BarCount * sizeof(uint))
            || (offset & ~3) == PciConfig.Command)
        {
            UpdateMappings();
        }
    }

    private void UpdateMappings()
    {
        bool decodes = (Get16(PciConfig.Command) & PciConfig.CommandMemory) != 0;
        for (int i = 0; i < BarCount; i++)
        {
            if (_bars[i] is { } bar)
            {
                ulong address = Get32(BarOffset(i)) & ~BarFlags;
                address |= bar.Is64Bit ? (ulong)Get32(BarOffset(i + 1)) << 32 : 0;
                Map(bar, address, decodes && PciWindows.Contains(address, bar.Length));
            }
        }
    }

    private void Map(Bar bar, ulong address, bool isMapped)
    {
        if (bar.Claim is not null && (!isMapped || bar.MappedAt != address))
        {
            bar.Claim.Dispose();
            bar.Claim = null;
        }

        // Where two functions are told to answer at one place, the first keeps it.
        if (isMapped && bar.Claim is null && _bus is not null && _bus.TryMapMemory(new(address), bar.Length, bar.Device, out var claim))
        {
            bar.Claim = claim;
            bar.MappedAt = address;
        }
    }

    private bool IsBarTaken(int index) => _bars[index] is not null || (index > 0 && _bars[index - 1] is { Is64Bit: true });

    private static int BarOffset(int index) => PciConfig.FirstBar + (index * sizeof(uint));

    private ushort Get16(int offset) => BinaryPrimitives.ReadUInt16LittleEndian(_config.AsSpan(offset));

    private uint Get32(int offset) => BinaryPrimitives.ReadUInt32LittleEndian(_config.AsSpan(offset));

    private void Set16(int offset, ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(_config.AsSpan(offset), value);

    private void Set32(int offset, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(_config.AsSpan(offset), value);

    private void SetWritable16(int offset, ushort mask) => BinaryPrimitives.WriteUInt16LittleEndian(_writable.AsSpan(offset), mask);

    private void SetWritable32(int offset, uint mask) => BinaryPrimitives.WriteUInt32LittleEndian(_writable.AsSpan(offset), mask);
}
