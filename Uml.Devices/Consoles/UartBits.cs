namespace Uml.Devices.Consoles;

/// <summary>Registers and bits of the 16550A (National Semiconductor PC16550D datasheet, table II).</summary>
internal static class UartBits
{
    // Registers.
    public const int Data = 0;
    public const int InterruptEnable = 1;
    public const int InterruptIdentification = 2;
    public const int LineControl = 3;
    public const int ModemControl = 4;
    public const int LineStatus = 5;
    public const int ModemStatus = 6;
    public const int Scratch = 7;

    // Interrupt enable.
    public const byte ReceiverInterrupt = 0x01;
    public const byte TransmitterInterrupt = 0x02;
    public const byte LineStatusInterrupt = 0x04;
    public const byte ModemStatusInterrupt = 0x08;
    public const byte InterruptEnableMask = 0x0F;

    // Interrupt identification.
    public const byte NoCause = 0x01;
    public const byte ModemCause = 0x00;
    public const byte TransmitterCause = 0x02;
    public const byte DataCause = 0x04;
    public const byte LineStatusCause = 0x06;
    public const byte TimeoutCause = 0x0C;
    public const byte FifosEnabled = 0xC0;

    // FIFO control.
    public const byte FifoEnable = 0x01;
    public const byte ClearReceiver = 0x02;
    public const byte FifoControlMask = 0xC9;

    // Line control.
    public const byte DivisorLatchAccess = 0x80;

    // Modem control.
    public const byte Out2 = 0x08;
    public const byte Loopback = 0x10;
    public const byte ModemControlMask = 0x1F;

    // Line status.
    public const byte DataReady = 0x01;
    public const byte OverrunError = 0x02;
    public const byte TransmitterHoldingEmpty = 0x20;
    public const byte TransmitterEmpty = 0x40;

    // Modem status.
    public const byte ClearToSend = 0x10;
    public const byte DataSetReady = 0x20;
    public const byte CarrierDetect = 0x80;
}
