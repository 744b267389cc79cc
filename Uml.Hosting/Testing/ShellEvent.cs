using Uml.Devices.Consoles;

namespace Uml.Hosting.Testing;

/// <summary>
/// A message from the guest's side of a <see cref="GuestShell"/> to the host: a marker, a letter, a number, ':', a value, ';'.
/// </summary>
/// <param name="Kind">Which: see <see cref="ShellProtocol"/>.</param>
/// <param name="Number">The number of the frame that it answers.</param>
/// <param name="Value">The value; its meaning depends on the kind.</param>
internal sealed record ShellEvent(char Kind, int Number, string Value)
{
    /// <summary>The value, for a message.</summary>
    public string GetShown() => ConsoleText.ToPrintable(Value, 80);
}
