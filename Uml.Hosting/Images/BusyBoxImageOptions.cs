namespace Uml.Hosting.Images;

/// <summary>What a <see cref="BusyBoxImage"/> does when it has booted.</summary>
public sealed class BusyBoxImageOptions
{
    /// <summary>
    /// A command line for the shell, run instead of an interactive shell. Its output reaches the console byte for byte, and its
    /// exit code becomes the status of the machine's exit. Null runs an interactive shell.
    /// </summary>
    public string? Command { get; set; }

    /// <summary>The terminal's size in characters, told to the guest's shell; null leaves the guest to its own idea.</summary>
    public (int Columns, int Rows)? TerminalSize { get; set; }

    /// <summary>The name of the guest. Default "uml".</summary>
    public string HostName { get; set; } = "uml";
}
