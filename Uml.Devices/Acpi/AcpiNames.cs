namespace Uml.Devices.Acpi;

/// <summary>Names of the board's own in the ACPI namespace.</summary>
internal static class AcpiNames
{
    /// <summary>The interrupt model that the guest has set by _PIC: 0 is the 8259 pair.</summary>
    public const string InterruptModel = "\\PICM";
}
