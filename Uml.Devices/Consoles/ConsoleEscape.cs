namespace Uml.Devices.Consoles;

/// <summary>A request of the user to the machine, which is not passed to the guest.</summary>
internal enum EscapeCommand
{
    None,

    /// <summary>Ctrl-A x.</summary>
    End,

    /// <summary>Ctrl-A h, or Ctrl-A and a key without a meaning.</summary>
    Help,
}

/// <summary>Finds the key sequences that are for the machine and not for the guest: those that start with Ctrl-A.</summary>
internal sealed class ConsoleEscape
{
    /// <summary>Ctrl-A.</summary>
    public const byte Prefix = 1;

    public static ReadOnlySpan<byte> Help =>
        "\r\nCtrl-A x   ends the machine\r\nCtrl-A h   shows this help\r\nCtrl-A a   sends Ctrl-A to the guest\r\n"u8;

    private bool _isEscaped;

    /// <summary>Takes one byte of input.</summary>
    /// <param name="input">The byte.</param>
    /// <param name="passed">The byte that goes to the guest, if any.</param>
    /// <returns>The request in the input.</returns>
    public EscapeCommand Next(byte input, out byte? passed)
    {
        passed = null;
        if (!_isEscaped)
        {
            _isEscaped = input == Prefix;
            passed = _isEscaped ? null : input;
            return EscapeCommand.None;
        }

        _isEscaped = false;
        if (input is (byte)'a' or Prefix)
        {
            passed = Prefix;
            return EscapeCommand.None;
        }

        return input == (byte)'x' ? EscapeCommand.End : EscapeCommand.Help;
    }
}
