namespace Uml.Devices.Consoles;

/// <summary>
/// Reads the bytes that a guest writes to an <see cref="InMemoryConsoleChannel"/>, exactly and in order, from the moment it was
/// opened. While it is open the guest waits for its reader, as with a pipe: nothing is lost and nothing grows.
/// </summary>
public sealed class ConsoleOutputReader : IDisposable
{
    private const int RingBytes = 256 << 10;

    private readonly InMemoryConsoleChannel _console;
    private readonly ByteRing _ring = new(RingBytes);
    private bool _wasFull;

    internal ConsoleOutputReader(InMemoryConsoleChannel console) => _console = console;

    /// <summary>Waits for output.</summary>
    /// <param name="destination">Where it goes; not empty.</param>
    /// <param name="cancellationToken">Ends the wait; no output is lost.</param>
    /// <returns>The number of bytes read, at least 1.</returns>
    /// <exception cref="ConsoleExpectException">The machine has ended, and everything it wrote has been read.</exception>
    public ValueTask<int> ReadAsync(Memory<byte> destination, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfZero(destination.Length, nameof(destination));
        return _console.ReadOutputAsync(this, destination, cancellationToken);
    }

    /// <summary>Lets the guest write without a reader again. What was not read stays in the transcript only.</summary>
    public void Dispose() => _console.Close(this);

    /// <summary>Takes output of the guest, as much as there is room for. The channel holds its lock.</summary>
    internal int Accept(ReadOnlySpan<byte> source)
    {
        int accepted = _ring.Write(source);
        _wasFull |= accepted < source.Length;
        return accepted;
    }

    /// <summary>Takes what has come, and tells whether the guest waits for the room. The channel holds its lock.</summary>
    internal int Take(Span<byte> destination, out bool hasRoomAgain)
    {
        int taken = _ring.Read(destination);
        hasRoomAgain = _wasFull && taken > 0;
        _wasFull &= !hasRoomAgain;
        return taken;
    }
}
