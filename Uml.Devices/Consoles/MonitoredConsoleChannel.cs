namespace Uml.Devices.Consoles;

/// <summary>A channel whose output a <see cref="KernelPanicMonitor"/> reads along.</summary>
internal sealed class MonitoredConsoleChannel(IConsoleChannel channel, KernelPanicMonitor monitor) : IConsoleChannel
{
    public void Attach(Action ready) => channel.Attach(ready);

    public int Read(Span<byte> destination) => channel.Read(destination);

    public int Write(ReadOnlySpan<byte> source)
    {
        int accepted = channel.Write(source);
        monitor.Observe(source[..accepted]);
        return accepted;
    }
}
