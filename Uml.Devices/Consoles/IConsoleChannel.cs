namespace Uml.Devices.Consoles;

/// <summary>
/// The host's end of a guest console. It works like a non-blocking socket: reads and writes transfer what is possible at once, and a
/// callback notifies when it is worth trying again. So neither a guest that floods it nor a host that does not read blocks the other side,
/// and buffers are bounded.
/// </summary>
/// <remarks>
/// A channel serves one device. One that owns host resources implements <see cref="IDisposable"/> or
/// <see cref="IAsyncDisposable"/>, and hands over the output it has accepted before it ends.
/// </remarks>
public interface IConsoleChannel
{
    /// <summary>Connects the device. Called once, before the machine starts and before any other member.</summary>
    /// <param name="ready">
    /// To be called, on any thread, whenever input has arrived, and when there is room again after <see cref="Write"/> accepted
    /// less than it was offered. Calls too many do no harm. It returns quickly and does not throw; after the machine's end it
    /// does nothing.
    /// </param>
    void Attach(Action ready);

    /// <summary>Takes host input, oldest byte first. Called on the machine's thread; does not wait.</summary>
    /// <param name="destination">Receives the input. Input that does not fit stays in the channel.</param>
    /// <returns>The bytes taken; 0 when there is none at the moment.</returns>
    int Read(Span<byte> destination);

    /// <summary>Accepts guest output. Called on the machine's thread; does not wait.</summary>
    /// <param name="source">Bytes in the order the guest wrote them.</param>
    /// <returns>The number of bytes accepted; the device offers the others again after the ready callback.</returns>
    int Write(ReadOnlySpan<byte> source);
}
