namespace Uml.Hosting.Images;

/// <summary>Options of a <see cref="BusyBoxImage"/>.</summary>
public sealed class BusyBoxImageOptions
{
    /// <summary>
    /// A command line for the shell, run instead of an interactive shell. Its output reaches the console byte for byte, and its
    /// exit code becomes the status of the machine's exit. Null runs an interactive shell.
    /// </summary>
    /// <remarks>
    /// Its input is text, because it comes through a terminal: lines of at most 4095 bytes (N_TTY_BUF_SIZE of Linux, drivers/tty/n_tty.c)
    /// whose control characters act (Ctrl-C, Ctrl-D, Ctrl-Z, Ctrl-S, CR and others). Pass bytes as base64, or as a file of the image.
    /// </remarks>
    public string? Command { get; set; }

    /// <summary>The terminal's size in characters, which is set in the guest's shell; null leaves the guest's default.</summary>
    public (int Columns, int Rows)? TerminalSize { get; set; }

    /// <summary>The value of TERM in the guest, such as xterm-256color. Letters, digits, '-', '_', '.' and '+'. Default "linux".</summary>
    public string TerminalType { get; set; } = "linux";

    /// <summary>
    /// Whether there is a person at the console while <see cref="Command"/> runs: the guest's terminal echoes, and sends CR before LF.
    /// Default false, which passes output byte for byte. Ctrl-C interrupts the command either way.
    /// </summary>
    public bool IsInteractive { get; set; }

    /// <summary>
    /// The guest's serial port, such as ttyS1, that has a <see cref="Uml.Devices.Consoles.TerminalControlChannel"/>; null when there is
    /// none. The guest writes to it when it is ready for input, and reads the terminal's size from it.
    /// </summary>
    public string? ControlPort { get; set; }

    /// <summary>The name of the guest. Default "uml".</summary>
    public string HostName { get; set; } = "uml";
}
