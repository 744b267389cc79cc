namespace Uml.Devices.Consoles;

/// <summary>
/// Reads the bytes that a guest writes to an <see cref="InMemoryConsoleChannel"/>, exactly and in order, from the moment it was opened.
/// While it is open the guest waits for the reader, as with a pipe: no output is lost, and the buffer is bounded.
/// </summary>
public sealed class ConsoleOutputReader : IDisposable
{
    private readonly InMemoryConsoleChannel _console;
    private readonly OutputRing _ring;

    internal ConsoleOutputReader(InMemoryConsoleChannel console, OutputRing ring) => (_console, _ring) = (console, ring);

    /// <summary>Waits for output.</summary>
    /// <param name="destination">Receives the output; not empty.</param>
    /// <param name="cancellationToken">Ends the wait; no output is lost.</param>
    /// <returns>The number of bytes read, at least 1.</returns>
    /// <exception cref="ConsoleExpectException">The machine has ended, and everything it wrote has been read.</exception>
    public ValueTask<int> ReadAsync(Memory<byte> destination, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfZero(destination.Length, nameof(destination));
        return _console.ReadOutputAsync(_ring, destination, cancellationToken);
    }

    /// <summary>Lets the guest write without a reader again. Output that was not read remains in the transcript only.</summary>
    public void Dispose() => _console.Close(_ring);
}
