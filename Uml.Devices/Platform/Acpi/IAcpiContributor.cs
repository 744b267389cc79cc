namespace Uml.Devices.Platform.Acpi;

/// <summary>A device that the guest finds by its description in the ACPI namespace.</summary>
internal interface IAcpiContributor
{
    /// <summary>Adds the device to the system bus scope \_SB.</summary>
    void Describe(AmlWriter scope);
}
