namespace Uml.Devices.Consoles;

/// <summary>Where a serial port is: the four addresses that PC software knows.</summary>
/// <param name="Name">The guest's name of the device, such as ttyS0.</param>
/// <param name="Number">1 for COM1.</param>
/// <param name="Ports">The first of eight I/O ports.</param>
/// <param name="Interrupt">The global system interrupt.</param>
internal sealed record SerialPort(string Name, int Number, ushort Ports, int Interrupt)
{
    /// <summary>I/O ports of one UART.</summary>
    public const int PortCount = 8;

    /// <summary>
    /// COM1 to COM4, ttyS0 to ttyS3. On a PC COM3 and COM4 share the interrupts of the first two, which edge-triggered interrupts do
    /// not really allow; here they have their own, and the ACPI tables say so.
    /// </summary>
    public static IReadOnlyList<SerialPort> All { get; } =
    [
        new("ttyS0", 1, 0x3F8, 4),
        new("ttyS1", 2, 0x2F8, 3),
        new("ttyS2", 3, 0x3E8, 5),
        new("ttyS3", 4, 0x2E8, 7),
    ];
}
