namespace Uml.Devices.Consoles;

/// <summary>A console that nobody looks at: output is dropped, input never comes.</summary>
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
