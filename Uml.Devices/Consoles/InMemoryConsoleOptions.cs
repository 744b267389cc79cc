namespace Uml.Devices.Consoles;

/// <summary>Limits of an <see cref="InMemoryConsoleChannel"/>.</summary>
public sealed class InMemoryConsoleOptions
{
    /// <summary>Characters of output that are kept; the oldest go first. At least 1024. Default 1 Mi.</summary>
    public int MaximumTranscript { get; set; } = 1 << 20;

    /// <summary>
    /// How long <see cref="InMemoryConsoleChannel.ExpectAsync(string, TimeSpan?, CancellationToken)"/> waits when no timeout is given.
    /// Default one minute.
    /// </summary>
    public TimeSpan DefaultTimeout { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>Lines of output that failure messages show. Default 20.</summary>
    public int TailLines { get; set; } = 20;
}
