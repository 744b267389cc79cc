namespace Uml.Devices.Consoles;

/// <summary>A console without a host end: output is dropped, and there is no input.</summary>
public sealed class NullConsoleChannel : IConsoleChannel
{
    /// <inheritdoc/>
    public void Attach(Action ready)
    {
    }

    /// <inheritdoc/>
    public int Read(Span<byte> destination) => 0;

    /// <inheritdoc/>
    public int Write(ReadOnlySpan<byte> source) => source.Length;
}
