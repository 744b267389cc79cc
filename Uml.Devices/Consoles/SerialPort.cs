using System.Globalization;
using Uml.Devices.Platform;

namespace Uml.Devices.Consoles;

/// <summary>The serial ports of a PC, at their four customary addresses.</summary>
/// <param name="Name">The guest's name of the device, such as ttyS0.</param>
/// <param name="Number">1 for COM1.</param>
/// <param name="Ports">The first of eight I/O ports.</param>
/// <param name="Interrupt">The global system interrupt.</param>
internal sealed record SerialPort(string Name, int Number, ushort Ports, int Interrupt)
{
    /// <summary>The port that every board has.</summary>
    public const string First = "ttyS0";

    /// <summary>The name of the port as a device of the machine.</summary>
    public string Id { get; } = string.Create(CultureInfo.InvariantCulture, $"serial{Number - 1}");

    /// <summary>I/O ports of one UART.</summary>
    public const int PortCount = 8;

    /// <summary>
    /// COM1 to COM4, ttyS0 to ttyS3. On a PC COM3 and COM4 share the interrupts of the first two, although edge-triggered interrupts cannot
    /// be shared reliably; here they have their own, and the ACPI tables say so.
    /// </summary>
    public static IReadOnlyList<SerialPort> All { get; } =
    [
        new(First, 1, PortMap.Serial0, 4),
        new("ttyS1", 2, PortMap.Serial1, 3),
        new("ttyS2", 3, PortMap.Serial2, 5),
        new("ttyS3", 4, PortMap.Serial3, 7),
    ];

    /// <summary>The port of a name.</summary>
    /// <exception cref="ArgumentException">There is no such port.</exception>
    public static SerialPort Find(string name) => All.FirstOrDefault(port => port.Name == name)
        ?? throw new ArgumentException($"The board has no serial port '{name}': there are {string.Join(", ", All.Select(port => port.Name))}.", nameof(name));
}
