using System.Buffers.Binary;
using System.Numerics;
using Uml.Core.Bus;
using Uml.Core.Snapshots;
using Uml.Devices.Platform;

namespace Uml.Devices.Pci;

/// <summary>
/// The configuration space of one PCI function (PCI Local Bus Specification 3.0, chapter 6): bytes, and which of their bits the guest
/// may change. It claims what its base address registers cover while decoding is on and they lie in a window of the host bridge.
/// </summary>
internal sealed class PciConfigSpace : IStateful
{
    private const int BarCount = 6;
    private const byte BarIsPorts = 0x01, BarType64 = 0x04, BarPrefetchable = 0x08;
    private const ulong BarFlags = 0xF, PortFlags = 0x3;
    private const ulong SmallestBar = 16, SmallestPorts = 4, LargestPorts = 256;

    private readonly byte[] _config = new byte[PciConfig.Length];
    private readonly byte[] _initial = new byte[PciConfig.Length];
    private readonly byte[] _writable = new byte[PciConfig.Length];
    private readonly Bar?[] _bars = new Bar?[BarCount];
    private IMachineBus? _bus;
    private Action<bool>? _released;
    private int _nextCapability = PciConfig.FirstCapability;
    private int _lastCapability = PciConfig.CapabilitiesPointer;

    /// <summary>Makes a space without base address registers and capabilities.</summary>
    public PciConfigSpace(in PciIdentity identity)
    {
        Define16(PciConfig.VendorId, identity.Vendor);
        Define16(PciConfig.DeviceId, identity.Device);
        Define8(PciConfig.Revision, identity.Revision);
        Define8(PciConfig.ClassCode, (byte)identity.ClassCode);
        Define16(PciConfig.ClassCode + 1, (ushort)(identity.ClassCode >> 8));
        Define16(PciConfig.SubsystemVendorId, identity.SubsystemVendor);
        Define16(PciConfig.SubsystemId, identity.Subsystem);
        SetWritable16(PciConfig.Command, PciConfig.CommandMemory | PciConfig.CommandBusMaster | PciConfig.CommandInterruptDisable);
        _writable[PciConfig.InterruptLine] = 0xFF;
    }

    private sealed class Bar(PciBar options)
    {
        public PciBar Options => options;

        public bool Is64Bit => options.Kind == PciBarKind.Memory64;

        /// <summary>Where firmware places it.</summary>
        public ulong Place { get; set; }

        public ulong MappedAt { get; set; }

        public IDisposable? Claim { get; set; }

        /// <summary>Whether it was claimed when the state was saved that was restored last.</summary>
        public bool WasClaimed { get; set; }

        public void Release()
        {
            Claim?.Dispose();
            Claim = null;
            MappedAt = 0;
        }
    }

    /// <summary>The command register.</summary>
    public ushort Command => Get16(PciConfig.Command);

    /// <summary>Adds a base address register.</summary>
    /// <exception cref="ArgumentException">The length is not one that a register can express, or the register is taken.</exception>
    public void AddBar(PciBar options)
    {
        Bar bar = new(options);
        (int index, ulong length) = (options.Index, options.Length);
        int registers = bar.Is64Bit ? 2 : 1;
        if (index < 0 || index + registers > BarCount || IsBarTaken(index) || (bar.Is64Bit && IsBarTaken(index + 1)))
        {
            throw new ArgumentException($"Base address register {index} does not exist or is taken.", nameof(options));
        }

        (ulong least, ulong most) = options.Kind switch
        {
            PciBarKind.Ports => (SmallestPorts, LargestPorts),
            PciBarKind.Memory32 => (SmallestBar, MemoryMap.PciWindow32Length),
            _ => (SmallestBar, ulong.MaxValue),
        };
        if (!BitOperations.IsPow2(length) || length < least || length > most)
        {
            throw new ArgumentException(
                $"A base address register of {options.Kind} cannot cover 0x{length:x}: use a power of two from 0x{least:x} to 0x{most:x}.", nameof(options));
        }

        _bars[index] = bar;
        int offset = BarOffset(index);
        byte memoryFlags = (byte)((bar.Is64Bit ? BarType64 : 0) | (options.IsPrefetchable ? BarPrefetchable : 0));
        Define8(offset, options.Kind == PciBarKind.Ports ? BarIsPorts : memoryFlags);
        _writable[PciConfig.Command] |= options.Kind == PciBarKind.Ports ? (byte)PciConfig.CommandPorts : (byte)0;
        ulong mask = ~(length - 1);
        SetWritable32(offset, (uint)mask);
        if (bar.Is64Bit)
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
    public int AddCapability(byte id, ReadOnlySpan<byte> body, ReadOnlySpan<byte> writable)
    {
        const int HeaderLength = 2;
        int offset = _nextCapability;
        int end = offset + HeaderLength + body.Length;
        if (end > PciConfig.CapabilitiesEnd)
        {
            throw new InvalidOperationException($"Capability 0x{id:x} does not fit: {PciConfig.CapabilitiesEnd - offset} bytes are left.");
        }

        Define8(_lastCapability, (byte)offset);
        Define8(offset, id);
        for (int i = 0; i < body.Length; i++)
        {
            Define8(offset + HeaderLength + i, body[i]);
        }

        writable.CopyTo(_writable.AsSpan(offset + HeaderLength));
        Define16(PciConfig.Status, (ushort)(Get16(PciConfig.Status) | PciConfig.StatusCapabilities));
        _lastCapability = offset + 1;
        _nextCapability = (end + 3) & ~3;
        return offset;
    }

    /// <summary>Sets the initial value of a byte, and its current one.</summary>
    public void Define8(int offset, byte value) => _initial[offset] = _config[offset] = value;

    /// <summary>Connects the space to the machine and, as firmware does, assigns addresses to its base address registers.</summary>
    /// <param name="bus">Where they are claimed.</param>
    /// <param name="windows">Where there is room.</param>
    /// <param name="released">Called when a place has become free; true while a state is restored.</param>
    public void Connect(IMachineBus bus, PciWindows windows, Action<bool> released)
    {
        (_bus, _released) = (bus, released);
        foreach (Bar? bar in _bars)
        {
            if (bar is not null)
            {
                bar.Place = windows.Allocate(bar.Options.Kind, bar.Options.Length);
            }
        }

        Reset();
    }

    /// <summary>Releases all addresses.</summary>
    public void Disconnect(PciWindows windows)
    {
        foreach (Bar? bar in _bars)
        {
            if (bar is not null)
            {
                bar.Release();
                windows.Free(bar.Options.Kind, bar.Place);
            }
        }

        (_bus, _released) = (null, null);
    }

    /// <summary>The state in which firmware leaves the function: placed, and not decoding.</summary>
    public void Reset()
    {
        _initial.CopyTo(_config, 0);
        for (int i = 0; i < BarCount; i++)
        {
            if (_bars[i] is { } bar)
            {
                Set32(BarOffset(i), Get32(BarOffset(i)) | (uint)bar.Place);
                if (bar.Is64Bit)
                {
                    Set32(BarOffset(i + 1), (uint)(bar.Place >> 32));
                }
            }
        }

        UpdateMappings();
    }

    /// <inheritdoc/>
    public void SaveState(StateWriter state)
    {
        state.Write(_config.AsSpan(0, PciConfig.RegistersLength));
        foreach (Bar? bar in _bars)
        {
            state.Write(bar?.Claim is not null);
        }
    }

    /// <inheritdoc/>
    public void RestoreState(StateReader state)
    {
        Span<byte> saved = stackalloc byte[PciConfig.RegistersLength];
        state.ReadBytes(saved);
        for (int i = 0; i < saved.Length; i++)
        {
            _config[i] = (byte)((_config[i] & ~_writable[i]) | (saved[i] & _writable[i]));
        }

        foreach (Bar? bar in _bars)
        {
            bool wasClaimed = state.ReadBoolean();
            if (bar is not null)
            {
                bar.WasClaimed = wasClaimed;
                bar.Release();
            }
        }

        // A range that was not claimed was in conflict with another device's, which may be restored after this one.
        MapBars(restoring: true);
        _released?.Invoke(true);
    }

    /// <summary>Reads registers.</summary>
    public uint Read(int offset, int size)
    {
        uint value = 0;
        for (int i = size - 1; i >= 0; i--)
        {
            value = (value << 8) | _config[offset + i];
        }

        return value;
    }

    /// <summary>Writes the bits of registers that the guest may write.</summary>
    public void Write(int offset, int size, uint value)
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

    /// <summary>Sets or clears a bit of the status register.</summary>
    public void SetStatus(ushort bit, bool value) =>
        Set16(PciConfig.Status, (ushort)(value ? Get16(PciConfig.Status) | bit : Get16(PciConfig.Status) & ~bit));

    /// <summary>Claims the enabled ranges that are not claimed yet and are free.</summary>
    /// <param name="restoring">Only those that were claimed when the state that is being restored was saved.</param>
    public void MapBars(bool restoring)
    {
        for (int i = 0; i < BarCount; i++)
        {
            if (_bars[i] is { } bar && (bar.WasClaimed || !restoring))
            {
                Map(i, bar);
            }
        }
    }

    private void UpdateMappings()
    {
        bool released = false;
        for (int i = 0; i < BarCount; i++)
        {
            if (_bars[i] is { Claim: not null } bar && (!IsDecoded(bar, GetAddress(i, bar)) || bar.MappedAt != GetAddress(i, bar)))
            {
                bar.Release();
                released = true;
            }
        }

        MapBars(restoring: false);
        if (released)
        {
            _released?.Invoke(false);
        }
    }

    // When two functions have the same address, the first one keeps it.
    private void Map(int index, Bar bar)
    {
        ulong address = GetAddress(index, bar);
        if (bar.Claim is null && _bus is not null && IsDecoded(bar, address) && TryClaim(bar, address, out IDisposable? claim))
        {
            bar.Claim = claim;
            bar.MappedAt = address;
        }
    }

    private bool TryClaim(Bar bar, ulong address, out IDisposable? claim) => bar.Options.Kind == PciBarKind.Ports
        ? _bus!.TryMapPorts((ushort)address, (int)bar.Options.Length, bar.Options.Device, out claim)
        : _bus!.TryMapMemory(new(address), bar.Options.Length, bar.Options.Device, out claim);

    private bool IsDecoded(Bar bar, ulong address)
    {
        ushort enable = bar.Options.Kind == PciBarKind.Ports ? PciConfig.CommandPorts : PciConfig.CommandMemory;
        return (Command & enable) != 0 && PciWindows.Contains(bar.Options.Kind, address, bar.Options.Length);
    }

    private ulong GetAddress(int index, Bar bar)
    {
        ulong address = Get32(BarOffset(index)) & ~(bar.Options.Kind == PciBarKind.Ports ? PortFlags : BarFlags);
        return bar.Is64Bit ? address | ((ulong)Get32(BarOffset(index + 1)) << 32) : address;
    }

    private bool IsBarTaken(int index) => _bars[index] is not null || (index > 0 && _bars[index - 1] is { Is64Bit: true });

    private static int BarOffset(int index) => PciConfig.FirstBar + (index * sizeof(uint));

    private void Define16(int offset, ushort value)
    {
        Define8(offset, (byte)value);
        Define8(offset + 1, (byte)(value >> 8));
    }

    private ushort Get16(int offset) => BinaryPrimitives.ReadUInt16LittleEndian(_config.AsSpan(offset));

    private uint Get32(int offset) => BinaryPrimitives.ReadUInt32LittleEndian(_config.AsSpan(offset));

    private void Set16(int offset, ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(_config.AsSpan(offset), value);

    private void Set32(int offset, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(_config.AsSpan(offset), value);

    private void SetWritable16(int offset, ushort mask) => BinaryPrimitives.WriteUInt16LittleEndian(_writable.AsSpan(offset), mask);

    private void SetWritable32(int offset, uint mask) => BinaryPrimitives.WriteUInt32LittleEndian(_writable.AsSpan(offset), mask);
}
