namespace Uml.Devices.Platform;

/// <summary>I/O ports of the standard board. Those of the PC are where software expects them; the others are our choice.</summary>
public static class PortMap
{
    /// <summary>The master of the 8259 pair.</summary>
    public const ushort MasterPic = 0x20;

    /// <summary>The 8254.</summary>
    public const ushort IntervalTimer = 0x40;

    /// <summary>System control port B.</summary>
    public const ushort SystemControl = 0x61;

    /// <summary>The command port of a keyboard controller, of which there is the reset pulse only.</summary>
    public const ushort KeyboardController = 0x64;

    /// <summary>Index and data of the real-time clock.</summary>
    public const ushort RealTimeClock = 0x70;

    /// <summary>System control port A.</summary>
    public const ushort SystemControlA = 0x92;

    /// <summary>The slave of the 8259 pair.</summary>
    public const ushort SlavePic = 0xA0;

    /// <summary>The debug-exit port: a value that is written there ends the machine as its status.</summary>
    public const ushort DebugExit = 0xF4;

    /// <summary>ttyS0, COM1.</summary>
    public const ushort Serial0 = 0x3F8;

    /// <summary>ttyS1, COM2.</summary>
    public const ushort Serial1 = 0x2F8;

    /// <summary>ttyS2, COM3.</summary>
    public const ushort Serial2 = 0x3E8;

    /// <summary>ttyS3, COM4.</summary>
    public const ushort Serial3 = 0x2E8;

    /// <summary>The trigger modes of the 8259 pair.</summary>
    public const ushort TriggerModes = 0x4D0;

    /// <summary>ACPI's PM1 status and enable registers.</summary>
    public const ushort PowerManagementEvents = 0x600;

    /// <summary>ACPI's PM1 control register.</summary>
    public const ushort PowerManagementControl = 0x604;

    /// <summary>ACPI's general-purpose event registers.</summary>
    public const ushort GeneralPurposeEvents = 0x608;

    /// <summary>Which slots of the PCI bus have changed.</summary>
    public const ushort PciSlots = 0x610;

    /// <summary>The address register of PCI configuration space; the data register follows.</summary>
    public const ushort PciConfigAddress = 0xCF8;

    /// <summary>The reset control register.</summary>
    public const ushort ResetControl = 0xCF9;

    /// <summary>Ports of PCI functions.</summary>
    public const ushort PciWindowStart = 0xC000;

    /// <summary>Number of those ports.</summary>
    public const ushort PciWindowLength = 0x4000;
}
