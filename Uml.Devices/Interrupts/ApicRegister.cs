namespace Uml.Devices.Interrupts;

/// <summary>
/// Registers of the local APIC (Intel SDM vol. 3, table 12-1): the number is the MSR less 0x800 in x2APIC mode, and the offset
/// divided by 16 in xAPIC mode.
/// </summary>
internal static class ApicRegister
{
    public const int Id = 0x02;
    public const int Version = 0x03;
    public const int TaskPriority = 0x08;
    public const int ArbitrationPriority = 0x09;
    public const int ProcessorPriority = 0x0A;
    public const int EndOfInterrupt = 0x0B;
    public const int RemoteRead = 0x0C;
    public const int LogicalDestination = 0x0D;
    public const int DestinationFormat = 0x0E;
    public const int SpuriousVector = 0x0F;
    public const int InService = 0x10;
    public const int TriggerMode = 0x18;
    public const int InterruptRequest = 0x20;
    public const int ErrorStatus = 0x28;
    public const int InterruptCommand = 0x30;
    public const int InterruptCommandHigh = 0x31;
    public const int LvtTimer = 0x32;
    public const int LvtThermal = 0x33;
    public const int LvtPerformance = 0x34;
    public const int LvtLint0 = 0x35;
    public const int LvtLint1 = 0x36;
    public const int LvtError = 0x37;
    public const int InitialCount = 0x38;
    public const int CurrentCount = 0x39;
    public const int DivideConfiguration = 0x3E;
    public const int SelfIpi = 0x3F;
}
