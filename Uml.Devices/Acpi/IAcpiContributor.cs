namespace Uml.Devices.Acpi;

/// <summary>
/// A device that the guest finds by its description in the ACPI namespace. A device of the machine that implements this is described in the
/// tables, which are written when the machine is powered on or reset.
/// </summary>
public interface IAcpiContributor
{
    /// <summary>Adds the device to the system bus scope \_SB, under a name that no other device has.</summary>
    void Describe(AmlWriter scope);
}
