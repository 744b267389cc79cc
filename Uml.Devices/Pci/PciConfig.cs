namespace Uml.Devices.Pci;

/// <summary>The offsets of the registers of configuration space (PCI Local Bus Specification 3.0, 6.1), and their bits.</summary>
internal static class PciConfig
{
    /// <summary>Bytes of configuration space of one function that hold registers.</summary>
    public const int RegistersLength = 256;

    /// <summary>Bytes of configuration space of one function, with the extended part (PCI Express Base Specification 6.0, 7.2).</summary>
    public const int Length = 4096;

    public const int VendorId = 0x00;
    public const int DeviceId = 0x02;
    public const int Command = 0x04;
    public const int Status = 0x06;
    public const int Revision = 0x08;
    public const int ClassCode = 0x09;
    public const int FirstBar = 0x10;
    public const int SubsystemVendorId = 0x2C;
    public const int SubsystemId = 0x2E;
    public const int CapabilitiesPointer = 0x34;
    public const int InterruptLine = 0x3C;
    public const int InterruptPin = 0x3D;
    public const int FirstCapability = 0x40;
    public const int CapabilitiesEnd = 0x100;

    public const ushort CommandPorts = 1 << 0;
    public const ushort CommandMemory = 1 << 1;
    public const ushort CommandBusMaster = 1 << 2;
    public const ushort CommandInterruptDisable = 1 << 10;
    public const ushort StatusInterrupt = 1 << 3;
    public const ushort StatusCapabilities = 1 << 4;
}
