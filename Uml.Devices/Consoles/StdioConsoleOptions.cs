namespace Uml.Devices.Consoles;

/// <summary>How a <see cref="StdioConsoleChannel"/> treats the process's standard streams.</summary>
public sealed class StdioConsoleOptions
{
    /// <summary>
    /// Whether Ctrl-A introduces commands to the machine. Default: null, which means "when standard input is a terminal";
    /// otherwise all bytes go to the guest as they are. A guest that does not read has 64 KiB of input waiting at most, and a Ctrl-A behind
    /// that is not looked at before the guest reads on.
    /// </summary>
    public bool? Escapes { get; set; }

    /// <summary>
    /// Whether the end of standard input is passed to the guest as Ctrl-D, at the start of a line and again every second, so that a
    /// shell which reads a script from it ends when the script does. Default true.
    /// </summary>
    public bool EndOfInputIsControlD { get; set; } = true;

    /// <summary>
    /// Whether input is held until <see cref="StdioConsoleChannel.ReleaseInput"/>. A guest's terminal echoes input that arrives before the
    /// first program has configured it. Default false.
    /// </summary>
    public bool HoldsInput { get; set; }
}
