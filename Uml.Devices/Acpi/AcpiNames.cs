namespace Uml.Devices.Acpi;

/// <summary>Names of the board's own in the ACPI namespace.</summary>
internal static class AcpiNames
{
    /// <summary>What the guest told of its interrupt controllers: 0 stands for the 8259 pair.</summary>
    public const string InterruptModel = "\\PICM";
}
