using Uml.Core.Bus;
using Uml.Core.Machine;
using Uml.Core.Snapshots;
using Uml.Devices.Acpi;

namespace Uml.Devices.Consoles;

/// <content>The port as a device of its machine: attached, reset, saved and restored, described, detached.</content>
internal sealed partial class Uart16550 : IMachineDevice, IAcpiContributor
{
    // A channel is connected once, however often its port comes and goes.
    private bool _isChannelConnected;

    /// <inheritdoc/>
    public string Id => _port.Id;

    /// <inheritdoc/>
    public void Attach(IMachineContext machine)
    {
        // Refused perhaps, before there is anything to be taken back.
        machine.Bus.MapPorts(_port.Ports, SerialPort.PortCount, this);
        _machine = machine;
        _line = machine.Own(_router.GetLine(Id, _port.Interrupt));
        _transmitter = new UartTransmitter(_channel, machine.Clock, Id);
        if (!_isChannelConnected)
        {
            _isChannelConnected = true;
            _channel.Attach(OnChannelReady);
        }

        machine.Quiescing += _transmitter.Flush;
    }

    /// <inheritdoc/>
    public void Detach()
    {
        _transmitter?.Flush();
        (_machine, _transmitter, _line) = (null, null, null);
    }

    /// <inheritdoc/>
    public void Reset()
    {
        _transmitter?.Reset();
        (_fifoStart, _fifoCount, _fifoFromChannel, _returnedCount, _statusReads) = (0, 0, 0, 0, 0);
        _transmitterInterrupt = _overrun = false;
        (_interruptEnable, _fifoControl, _lineControl, _modemControl, _modemDelta, _scratch) = (0, 0, 0, 0, 0, 0);
        (_divisorLow, _divisorHigh) = (1, 0);
        UpdateInterrupt();

        // Serves the channel again: input or room that it announced before the reset is not announced twice.
        _servicePosted = 0;
        OnChannelReady();
    }

    /// <inheritdoc/>
    public void SaveState(StateWriter state)
    {
        state.WriteVersion(1);
        state.Write(
        [
            _interruptEnable, _fifoControl, _lineControl, _modemControl, _modemDelta, _scratch, _divisorLow, _divisorHigh,
            (byte)_fifoCount, (byte)_fifoFromChannel, (byte)_returnedCount,
        ]);
        for (int i = 0; i < _fifoCount; i++)
        {
            state.Write(_fifo[(_fifoStart + i) % FifoSize]);
        }

        state.Write(_returned.AsSpan(0, _returnedCount));
        state.Write((byte)_statusReads);
        state.Write(_transmitterInterrupt);
        state.Write(_overrun);
        _transmitter?.SaveState(state);
        state.Write(_line);
    }

    /// <inheritdoc/>
    public void RestoreState(StateReader state)
    {
        state.ReadVersion(newest: 1);
        _interruptEnable = state.ReadByte(maximum: UartBits.InterruptEnableMask);
        _fifoControl = (byte)(state.ReadByte() & UartBits.FifoControlMask);
        _lineControl = state.ReadByte();
        _modemControl = state.ReadByte(maximum: UartBits.ModemControlMask);
        _modemDelta = state.ReadByte();
        _scratch = state.ReadByte();
        _divisorLow = state.ReadByte();
        _divisorHigh = state.ReadByte();
        _fifoStart = 0;
        _fifoCount = state.ReadByte(maximum: (byte)Capacity);
        _fifoFromChannel = state.ReadByte(maximum: (byte)_fifoCount);
        _returnedCount = state.ReadByte(maximum: (byte)(FifoSize - _fifoFromChannel));
        state.ReadBytes(_fifo.AsSpan(0, _fifoCount));
        state.ReadBytes(_returned.AsSpan(0, _returnedCount));
        _statusReads = state.ReadByte(maximum: PollingThreshold);
        _transmitterInterrupt = state.ReadBoolean();
        _overrun = state.ReadBoolean();
        _transmitter?.RestoreState(state);
        state.Restore(_line);

        // The channel may be another one, which has no pending callback of this port.
        OnChannelReady();
    }

    /// <inheritdoc/>
    public void Describe(AmlWriter scope) => scope.Device($"COM{_port.Number}", device =>
    {
        device.NameEisaId("_HID", "PNP0501");
        device.NameInteger("_UID", (ulong)_port.Number);
        device.NameResources("_CRS", new ResourceTemplate().Io(_port.Ports, SerialPort.PortCount).Irq(_port.Interrupt));
    });
}
