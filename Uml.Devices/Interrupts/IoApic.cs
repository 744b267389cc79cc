using Uml.Core.Bus;
using Uml.Core.Machine;
using Uml.Core.Snapshots;
using Uml.Devices.Platform;

namespace Uml.Devices.Interrupts;

/// <summary>
/// The I/O APIC: 24 inputs, each with a redirection entry (Intel 82093AA datasheet; the EOI register of version 0x20 as in
/// the Intel I/O Controller Hub datasheets). Input n is global system interrupt n.
/// </summary>
/// <remarks>
/// Polarity is stored and read back only: an <see cref="IInterruptLine"/> is asserted or not, independently of voltages, and the ACPI
/// tables describe the polarity.
/// </remarks>
internal sealed class IoApic(ApicBus bus) : IMachineDevice, IBusDevice
{
    /// <summary>Number of inputs.</summary>
    public const int InputCount = 24;

    private const uint Version = 0x20 | ((InputCount - 1) << 16);

    private const ulong IndexRegister = 0x00;
    private const ulong DataRegister = 0x10;
    private const ulong EoiRegister = 0x40;

    private const uint IdMask = 0x0F00_0000;

    private const int IdIndex = 0;
    private const int VersionIndex = 1;
    private const int ArbitrationIndex = 2;
    private const int FirstEntryIndex = 0x10;

    private readonly Input[] _inputs = CreateInputs(bus);
    private byte _index;
    private uint _id;

    /// <summary>Raised before a redirection entry changes, so that a device can update the input that it drives.</summary>
    public event Action? Changing;

    /// <summary>Raised after a redirection entry has changed, and <see cref="AwaitsEdge"/> perhaps with it.</summary>
    public event Action? Changed;

    /// <inheritdoc/>
    public string Id => "ioapic";

    /// <inheritdoc/>
    public void Attach(IMachineContext machine)
    {
        machine.Bus.MapMemory(new(MemoryMap.IoApicStart), MemoryMap.IoApicLength, this);
        bus.EndOfInterrupt += Complete;
    }

    /// <inheritdoc/>
    public void Detach()
    {
        bus.EndOfInterrupt -= Complete;
        Reset();
    }

    /// <inheritdoc/>
    public void Reset()
    {
        (_index, _id) = (0, 0);
        Changing?.Invoke();
        foreach (Input input in _inputs)
        {
            input.Reset();
        }

        Changed?.Invoke();
    }

    /// <inheritdoc/>
    public void SaveState(StateWriter state)
    {
        state.WriteVersion(1);
        state.Write(_index);
        state.Write(_id);
        foreach (Input input in _inputs)
        {
            input.SaveState(state);
        }
    }

    /// <inheritdoc/>
    public void RestoreState(StateReader state)
    {
        state.ReadVersion(newest: 1);
        _index = state.ReadByte();
        _id = state.ReadUInt32(maximum: IdMask);
        foreach (Input input in _inputs)
        {
            input.RestoreState(state);
        }
    }

    /// <summary>Drives an input.</summary>
    public void SetLine(int input, bool asserted) => _inputs[input].SetLine(asserted);

    /// <summary>Whether a rise of an input would make a difference.</summary>
    public bool AwaitsEdge(int input) => !_inputs[input].IsMasked;

    /// <inheritdoc/>
    public ulong Read(IProcessor processor, ulong offset, int size) => offset switch
    {
        IndexRegister => _index,
        DataRegister => ReadIndexed(),
        _ => 0,
    };

    /// <inheritdoc/>
    public void Write(IProcessor processor, ulong offset, int size, ulong value)
    {
        switch (offset)
        {
            case IndexRegister:
                _index = (byte)value;
                break;
            case DataRegister:
                WriteIndexed((uint)value);
                break;
            case EoiRegister:
                Complete((byte)value);
                break;
        }
    }

    private uint ReadIndexed()
    {
        int entry = _index - FirstEntryIndex;
        if (entry is >= 0 and < InputCount * 2)
        {
            ulong value = _inputs[entry >> 1].Entry;
            return (uint)((entry & 1) == 0 ? value : value >> 32);
        }

        return _index switch
        {
            IdIndex or ArbitrationIndex => _id,
            VersionIndex => Version,
            _ => 0,
        };
    }

    private void WriteIndexed(uint value)
    {
        int entry = _index - FirstEntryIndex;
        if (entry is >= 0 and < InputCount * 2)
        {
            var input = _inputs[entry >> 1];
            Changing?.Invoke();
            input.SetEntry((entry & 1) == 0
                ? (input.Entry & 0xFFFF_FFFF_0000_0000) | value
                : (uint)input.Entry | ((ulong)value << 32));
            Changed?.Invoke();
        }
        else if (_index == IdIndex)
        {
            _id = value & IdMask;
        }
    }

    private void Complete(byte vector)
    {
        foreach (var input in _inputs)
        {
            input.Complete(vector);
        }
    }

    private static Input[] CreateInputs(ApicBus bus)
    {
        var inputs = new Input[InputCount];
        for (int i = 0; i < InputCount; i++)
        {
            inputs[i] = new Input(bus);
        }

        return inputs;
    }

    /// <summary>One input with its redirection entry.</summary>
    private sealed class Input(ApicBus bus) : IStateful
    {
        private const ulong RemoteIrr = 1 << 14;
        private const ulong LevelTriggered = 1 << 15;
        private const ulong Masked = 1 << 16;
        private const ulong LogicalDestination = 1 << 11;
        private const ulong ReadOnlyBits = RemoteIrr | (1 << 12);
        private const ulong ImplementedBits = 0xFF00_0000_0001_FFFF;

        private bool _isAsserted;

        /// <summary>The redirection entry.</summary>
        public ulong Entry { get; private set; } = Masked;

        public bool IsMasked => (Entry & Masked) != 0;

        /// <summary>Masks the input; its level is for those that drive it to reset.</summary>
        public void Reset() => Entry = Masked;

        public void SaveState(StateWriter state)
        {
            state.Write(Entry);
            state.Write(_isAsserted);
        }

        public void RestoreState(StateReader state)
        {
            Entry = state.ReadUInt64() & (ImplementedBits | RemoteIrr);
            _isAsserted = state.ReadBoolean();
        }

        public void SetLine(bool asserted)
        {
            bool rose = asserted && !_isAsserted;
            _isAsserted = asserted;
            if ((Entry & LevelTriggered) != 0)
            {
                DeliverLevel();
            }
            else if (rose && !IsMasked)
            {
                // An edge while masked is lost, as on the real part.
                Deliver();
            }
        }

        public void SetEntry(ulong value)
        {
            Entry = (value & ImplementedBits & ~ReadOnlyBits) | (Entry & ReadOnlyBits);
            if ((Entry & LevelTriggered) == 0)
            {
                // Software for parts without EOI register clears a stuck remote IRR by switching to edge mode and back.
                Entry &= ~RemoteIrr;
            }
            else
            {
                DeliverLevel();
            }
        }

        public void Complete(byte vector)
        {
            if ((byte)Entry == vector && (Entry & (LevelTriggered | RemoteIrr)) == (LevelTriggered | RemoteIrr))
            {
                Entry &= ~RemoteIrr;
                DeliverLevel();
            }
        }

        private void DeliverLevel()
        {
            if (_isAsserted && (Entry & (Masked | RemoteIrr)) == 0 && Deliver())
            {
                Entry |= RemoteIrr;
            }
        }

        private bool Deliver() => bus.Deliver(new ApicMessage(
            Destination: (uint)(Entry >> 56),
            IsLogical: (Entry & LogicalDestination) != 0,
            IsWide: false,
            Mode: (DeliveryMode)((Entry >> 8) & 7),
            Vector: (byte)Entry,
            IsLevelTriggered: (Entry & LevelTriggered) != 0));
    }
}
