namespace Uml.Devices.Platform;

/// <summary>I/O ports of the standard board. Those of the PC are where software expects them; the others are our choice.</summary>
internal static class PortMap
{
    public const ushort MasterPic = 0x20;
    public const ushort IntervalTimer = 0x40;
    public const ushort SystemControl = 0x61;
    public const ushort KeyboardController = 0x64;
    public const ushort RealTimeClock = 0x70;
    public const ushort SystemControlA = 0x92;
    public const ushort SlavePic = 0xA0;
    public const ushort DebugExit = 0xF4;
    public const ushort TriggerModes = 0x4D0;
    public const ushort PowerManagementEvents = 0x600;
    public const ushort PowerManagementControl = 0x604;
    public const ushort PciConfigAddress = 0xCF8;
    public const ushort ResetControl = 0xCF9;
}
