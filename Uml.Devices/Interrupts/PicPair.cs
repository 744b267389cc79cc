using Uml.Core.Bus;
using Uml.Core.Machine;
using Uml.Core.Snapshots;
using Uml.Devices.Platform;

namespace Uml.Devices.Interrupts;

/// <summary>
/// The two 8259A of a PC with their trigger mode registers (Intel ICH10 data sheet, 5.8 and 13.4): 15 interrupts for guests that do not use
/// the I/O APIC. The output is wired to LINT0 of the boot processor's local APIC, which is in virtual-wire mode when the guest starts
/// (MultiProcessor Specification 1.4, 3.6.2.2), so that there is no IMCR.
/// </summary>
internal sealed class PicPair(LocalApics apics) : IMachineDevice
{
    /// <summary>Number of interrupts, with the one that the slave takes.</summary>
    public const int InputCount = 16;

    /// <summary>The input of the master that the slave is wired to.</summary>
    public const int Cascade = 2;

    private const int ChipInputs = 8;

    // Firmware makes levels of what ACPI and PCI have: 9, 10 and 11.
    private const byte SharedInterrupts = 0x0E;

    // Vectors by PC tradition, under which firmware leaves them. Timer, keyboard, cascade, clock and coprocessor are always edge-triggered.
    private readonly Pic8259 _master = new(vectorBase: 0x08, slaves: 1 << Cascade, programmable: 0xF8);
    private readonly Pic8259 _slave = new(vectorBase: 0x70, slaves: 0, programmable: 0xDE) { LevelTriggered = SharedInterrupts };

    /// <inheritdoc/>
    public string Id => "pic";

    /// <summary>Raised before the inputs are read, so that a device can update the one it drives.</summary>
    public event Action? Sampling;

    /// <summary>Raised after anything that may have changed the output or <see cref="AwaitsEdge"/>.</summary>
    public event Action? Changed;

    /// <summary>The output to the processor.</summary>
    public bool IsRequesting => _master.IsRequesting;

    /// <inheritdoc/>
    public void Attach(IMachineContext machine)
    {
        machine.Bus.MapPorts(PortMap.MasterPic, 2, new Registers(this, _master));
        machine.Bus.MapPorts(PortMap.SlavePic, 2, new Registers(this, _slave));
        machine.Bus.MapPorts(PortMap.TriggerModes, 2, new TriggerModes(this));
        apics.ConnectExternal(this);
    }

    /// <inheritdoc/>
    public void Detach()
    {
        apics.DisconnectExternal();
        Reset();
    }

    /// <inheritdoc/>
    public void Reset()
    {
        _master.Reset();
        _slave.Reset();
        _slave.LevelTriggered = SharedInterrupts;
        Update();
    }

    /// <inheritdoc/>
    public void SaveState(StateWriter state)
    {
        state.WriteVersion(1);
        _master.SaveState(state);
        _slave.SaveState(state);
    }

    /// <inheritdoc/>
    public void RestoreState(StateReader state)
    {
        state.ReadVersion(newest: 1);
        _master.RestoreState(state);
        _slave.RestoreState(state);
    }

    /// <summary>Whether a rise of an interrupt would make a difference.</summary>
    public bool AwaitsEdge(int interrupt) => Chip(interrupt).AwaitsEdge(interrupt % ChipInputs);

    /// <summary>Drives an interrupt; that of the cascade is not wired to anything else.</summary>
    public void SetLine(int interrupt, bool asserted)
    {
        if (interrupt != Cascade)
        {
            Chip(interrupt).SetLine(interrupt % ChipInputs, asserted);
            Update();
        }
    }

    /// <summary>The processor's acknowledge cycles.</summary>
    /// <returns>The vector; when nothing requests any more, that of IRQ 7 or, through the cascade, of IRQ 15.</returns>
    public byte Acknowledge()
    {
        Sampling?.Invoke();
        int input = _master.Acknowledge();
        byte vector = input == Cascade ? _slave.GetVector(_slave.Acknowledge()) : _master.GetVector(input);
        Update();
        return vector;
    }

    private Pic8259 Chip(int interrupt) => interrupt < ChipInputs ? _master : _slave;

    private void Update()
    {
        _master.SetLine(Cascade, _slave.IsRequesting);
        Changed?.Invoke();
    }

    /// <summary>The two ports of a chip. Accesses of 16 bits are two.</summary>
    private sealed class Registers(PicPair pair, Pic8259 chip) : IBusDevice
    {
        public ulong Read(IProcessor processor, ulong offset, int size)
        {
            pair.Sampling?.Invoke();
            ulong value = 0;
            for (int i = 0; i < size; i++)
            {
                value |= (ulong)chip.Read(isOdd: offset + (ulong)i != 0) << (i * 8);
            }

            pair.Update();
            return value;
        }

        public void Write(IProcessor processor, ulong offset, int size, ulong value)
        {
            pair.Sampling?.Invoke();
            for (int i = 0; i < size; i++)
            {
                chip.Write(isOdd: offset + (ulong)i != 0, (byte)(value >> (i * 8)));
            }

            pair.Update();
        }
    }

    /// <summary>ELCR1 and ELCR2.</summary>
    private sealed class TriggerModes(PicPair pair) : IBusDevice
    {
        public ulong Read(IProcessor processor, ulong offset, int size) =>
            (pair._master.LevelTriggered | ((ulong)pair._slave.LevelTriggered << 8)) >> (int)(offset * 8);

        public void Write(IProcessor processor, ulong offset, int size, ulong value)
        {
            if (offset == 0)
            {
                pair._master.LevelTriggered = (byte)value;
                value >>= 8;
                size--;
            }

            if (size > 0)
            {
                pair._slave.LevelTriggered = (byte)value;
            }

            pair.Update();
        }
    }
}
