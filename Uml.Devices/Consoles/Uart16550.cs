using Uml.Core.Bus;
using Uml.Core.Machine;

namespace Uml.Devices.Consoles;

/// <summary>
/// A 16550A serial port (National Semiconductor PC16550D datasheet) on a line of unlimited speed, wired as in a PC: OUT2 gates the
/// interrupt. This file is the receiver and the interrupt logic; the other part is the port's life, and the transmitter is a class of its own.
/// </summary>
/// <remarks>
/// Input stays in the channel until the guest receives: it enables the receive interrupt, or polls the line status. A driver clears the
/// receiver when it starts, before and after it enables the interrupt, which must not discard what a user typed ahead: bytes of the
/// channel's input that were cleared from the FIFO are received again.
/// </remarks>
internal sealed partial class Uart16550 : IBusDevice
{
    /// <summary>Bytes in the FIFO of each direction.</summary>
    public const int FifoSize = 16;

    // Reads of the line status in a row, with nothing else in between, that count as polling for input. The number is ours; drivers that
    // poll the transmitter need at most a few.
    private const int PollingThreshold = 16;

    private readonly SerialPort _port;
    private readonly IConsoleChannel _channel;
    private readonly IInterruptRouter _router;
    private readonly byte[] _fifo = new byte[FifoSize];

    // Input that was taken from the channel and cleared from the FIFO unread; together with the FIFO's contents at most FifoSize bytes.
    private readonly byte[] _returned = new byte[FifoSize];

    private UartTransmitter? _transmitter;
    private IMachineContext? _machine;
    private IInterruptLine? _line;
    private int _servicePosted;
    private int _fifoStart;
    private int _fifoCount;

    // How many of the oldest bytes in the FIFO are the channel's; others came by the loopback.
    private int _fifoFromChannel;
    private int _returnedCount;
    private int _statusReads;
    private bool _transmitterInterrupt;
    private bool _overrun;

    private byte _interruptEnable;
    private byte _fifoControl;
    private byte _lineControl;
    private byte _modemControl;
    private byte _modemDelta;
    private byte _scratch;
    private byte _divisorLow = 1;
    private byte _divisorHigh;

    /// <summary>Makes a serial port, which is to be attached and reset.</summary>
    public Uart16550(SerialPort port, IConsoleChannel channel, IInterruptRouter router)
    {
        _port = port;
        _channel = channel;
        _router = router;
    }

    private bool IsDivisorSelected => (_lineControl & UartBits.DivisorLatchAccess) != 0;

    private bool IsLoopback => (_modemControl & UartBits.Loopback) != 0;

    private bool HasFifo => (_fifoControl & UartBits.FifoEnable) != 0;

    private int Capacity => HasFifo ? FifoSize : 1;

    // Receiver trigger level in bits 6 and 7 of the FIFO control register.
    private int TriggerLevel => !HasFifo ? 1 : (_fifoControl >> 6) switch { 0 => 1, 1 => 4, 2 => 8, _ => 14 };

    private bool IsTransmitterReady => _transmitter is not { IsFull: true };

    /// <inheritdoc/>
    public ulong Read(IProcessor processor, ulong offset, int size)
    {
        ulong value = 0;
        for (int i = 0; i < size; i++)
        {
            value |= (ulong)ReadRegister((int)offset + i) << (i * 8);
        }

        return value;
    }

    /// <inheritdoc/>
    public void Write(IProcessor processor, ulong offset, int size, ulong value)
    {
        for (int i = 0; i < size; i++)
        {
            WriteRegister((int)offset + i, (byte)(value >> (i * 8)));
        }
    }

    private byte ReadRegister(int register)
    {
        if (register != UartBits.LineStatus)
        {
            _statusReads = 0;
        }

        return register switch
        {
            UartBits.Data => IsDivisorSelected ? _divisorLow : ReadData(),
            UartBits.InterruptEnable => IsDivisorSelected ? _divisorHigh : _interruptEnable,
            UartBits.InterruptIdentification => ReadInterruptIdentification(),
            UartBits.LineControl => _lineControl,
            UartBits.ModemControl => _modemControl,
            UartBits.LineStatus => ReadLineStatus(),
            UartBits.ModemStatus => ReadModemStatus(),
            _ => _scratch,
        };
    }

    private void WriteRegister(int register, byte value)
    {
        _statusReads = 0;
        switch (register)
        {
            case UartBits.Data when IsDivisorSelected:
                _divisorLow = value;
                break;
            case UartBits.Data:
                Transmit(value);
                break;
            case UartBits.InterruptEnable when IsDivisorSelected:
                _divisorHigh = value;
                break;
            case UartBits.InterruptEnable:
                WriteInterruptEnable(value);
                break;
            case UartBits.InterruptIdentification:
                WriteFifoControl(value);
                break;
            case UartBits.LineControl:
                _lineControl = value;
                break;
            case UartBits.ModemControl:
                WriteModemControl(value);
                break;
            case UartBits.Scratch:
                _scratch = value;
                break;
        }

        UpdateInterrupt();
    }

    private byte ReadData()
    {
        if (_fifoCount == 0)
        {
            return 0;
        }

        byte value = _fifo[_fifoStart];
        _fifoStart = (_fifoStart + 1) % FifoSize;
        _fifoFromChannel = Math.Max(0, _fifoFromChannel - 1);
        if (--_fifoCount == 0)
        {
            Receive();
        }

        UpdateInterrupt();
        return value;
    }

    private void Transmit(byte value)
    {
        if (IsLoopback)
        {
            Store(value);
        }
        else
        {
            _transmitter?.Add(value);
        }

        _transmitterInterrupt = IsTransmitterReady;
    }

    private void Store(byte value)
    {
        if (_fifoCount == Capacity)
        {
            _overrun = true;
            return;
        }

        _fifo[(_fifoStart + _fifoCount++) % FifoSize] = value;
    }

    private void WriteInterruptEnable(byte value)
    {
        // Enabling the transmitter's interrupt while it is empty interrupts at once (datasheet, 8.6.3), which drivers count on.
        bool enablesTransmitter = (value & ~_interruptEnable & UartBits.TransmitterInterrupt) != 0;
        _interruptEnable = (byte)(value & UartBits.InterruptEnableMask);
        _transmitterInterrupt |= enablesTransmitter && IsTransmitterReady;
        if ((value & UartBits.ReceiverInterrupt) != 0)
        {
            Receive();
        }
    }

    private void WriteFifoControl(byte value)
    {
        // Switching the FIFOs on or off empties them. Nothing waits in the transmitter: the line is infinitely fast.
        if (((value ^ _fifoControl) & UartBits.FifoEnable) != 0 || (value & UartBits.ClearReceiver) != 0)
        {
            EmptyReceiver();
        }

        _fifoControl = (byte)(value & UartBits.FifoControlMask);
    }

    private void WriteModemControl(byte value)
    {
        byte before = ModemLines;
        _modemControl = (byte)(value & UartBits.ModemControlMask);
        byte changed = (byte)(before ^ ModemLines);

        // Delta bits are in the order of the lines; that of ring is set at its trailing edge only.
        const byte Ring = 0x40;
        if ((changed & Ring) != 0 && (before & Ring) == 0)
        {
            changed &= unchecked((byte)~Ring);
        }

        _modemDelta |= (byte)(changed >> 4);
    }

    // A terminal that is always there, or the modem outputs looped back: RTS to CTS, DTR to DSR, OUT1 to RI, OUT2 to DCD.
    private byte ModemLines => !IsLoopback
        ? (byte)(UartBits.ClearToSend | UartBits.DataSetReady | UartBits.CarrierDetect)
        : (byte)(((_modemControl & 2) << 3) | ((_modemControl & 1) << 5) | ((_modemControl & 4) << 4) | ((_modemControl & 8) << 4));

    private byte ReadModemStatus()
    {
        byte value = (byte)(ModemLines | _modemDelta);
        _modemDelta = 0;
        UpdateInterrupt();
        return value;
    }

    private byte ReadLineStatus()
    {
        _statusReads = Math.Min(_statusReads + 1, PollingThreshold);
        if (_fifoCount == 0 && _statusReads == PollingThreshold)
        {
            Receive();
        }

        int value = _fifoCount > 0 ? UartBits.DataReady : 0;
        value |= _overrun ? UartBits.OverrunError : 0;
        value |= IsTransmitterReady ? UartBits.TransmitterHoldingEmpty | UartBits.TransmitterEmpty : 0;
        _overrun = false;
        UpdateInterrupt();
        return (byte)value;
    }

    private byte ReadInterruptIdentification()
    {
        byte cause = FindInterrupt();
        if (cause == UartBits.TransmitterCause)
        {
            _transmitterInterrupt = false;
            UpdateInterrupt();
        }

        return (byte)(cause | (HasFifo ? UartBits.FifosEnabled : 0));
    }

    // In order of priority (datasheet, table IV). On an infinitely fast line, characters below the trigger level have timed out.
    private byte FindInterrupt()
    {
        if (_overrun && (_interruptEnable & UartBits.LineStatusInterrupt) != 0)
        {
            return UartBits.LineStatusCause;
        }

        if (_fifoCount > 0 && (_interruptEnable & UartBits.ReceiverInterrupt) != 0)
        {
            return _fifoCount >= TriggerLevel ? UartBits.DataCause : UartBits.TimeoutCause;
        }

        if (_transmitterInterrupt && (_interruptEnable & UartBits.TransmitterInterrupt) != 0)
        {
            return UartBits.TransmitterCause;
        }

        return _modemDelta != 0 && (_interruptEnable & UartBits.ModemStatusInterrupt) != 0 ? UartBits.ModemCause : UartBits.NoCause;
    }

    private void UpdateInterrupt() =>
        _line?.Set((_modemControl & UartBits.Out2) != 0 && FindInterrupt() != UartBits.NoCause);

    /// <summary>Takes as much input from the channel as the receiver has room for.</summary>
    private void Receive()
    {
        if (IsLoopback || _fifoCount > 0)
        {
            return;
        }

        _fifoStart = 0;
        _fifoCount = _returnedCount == 0 ? _channel.Read(_fifo.AsSpan(0, Capacity)) : TakeReturned(_fifo.AsSpan(0, Capacity));
        _fifoFromChannel = _fifoCount;
    }

    private void EmptyReceiver()
    {
        Span<byte> unread = stackalloc byte[FifoSize];
        for (int i = 0; i < _fifoFromChannel; i++)
        {
            unread[i] = _fifo[(_fifoStart + i) % FifoSize];
        }

        _returned.AsSpan(0, _returnedCount).CopyTo(unread[_fifoFromChannel..]);
        unread.CopyTo(_returned);
        _returnedCount += _fifoFromChannel;
        _fifoFromChannel = _fifoCount = 0;
        if (_returnedCount > 0)
        {
            // Not at once: the driver finds the receiver as empty as it wanted it.
            OnChannelReady();
        }
    }

    private int TakeReturned(Span<byte> destination)
    {
        int count = Math.Min(destination.Length, _returnedCount);
        _returned.AsSpan(0, count).CopyTo(destination);
        _returned.AsSpan(count, _returnedCount - count).CopyTo(_returned);
        _returnedCount -= count;
        return count;
    }

    // Called on any thread. However often the channel calls, at most one action is queued.
    private void OnChannelReady()
    {
        if (Interlocked.Exchange(ref _servicePosted, 1) == 0)
        {
            _machine?.Post(ServiceChannel);
        }
    }

    private void ServiceChannel()
    {
        Volatile.Write(ref _servicePosted, 0);
        if ((_interruptEnable & UartBits.ReceiverInterrupt) != 0)
        {
            Receive();
        }

        bool waited = !IsTransmitterReady;
        _transmitter?.Flush();
        _transmitterInterrupt |= waited && IsTransmitterReady;
        UpdateInterrupt();
    }
}
