using Uml.Core.Machine;

namespace Uml.Devices.Consoles;

/// <summary>Wraps a channel of the hosting program, so that its failures are reported with its type and the exception it threw.</summary>
internal sealed class CheckedConsoleChannel(IConsoleChannel channel) : IConsoleChannel
{
    public void Attach(Action ready) => channel.Attach(ready);

    public int Read(Span<byte> destination)
    {
        int count;
        try
        {
            count = channel.Read(destination);
        }
        catch (Exception e) when (e is not HostServiceException)
        {
            throw Failed(nameof(Read), e);
        }

        return (uint)count <= (uint)destination.Length ? count : throw WrongCount(nameof(Read), count, destination.Length);
    }

    public int Write(ReadOnlySpan<byte> source)
    {
        int count;
        try
        {
            count = channel.Write(source);
        }
        catch (Exception e) when (e is not HostServiceException)
        {
            throw Failed(nameof(Write), e);
        }

        return (uint)count <= (uint)source.Length ? count : throw WrongCount(nameof(Write), count, source.Length);
    }

    private HostServiceException Failed(string member, Exception e) => new(
        $"The console channel {channel.GetType()} threw {e.GetType()} in {member}: {e.Message} "
        + "A channel that has lost its other end returns 0 from Read and takes what Write offers.",
        e);

    private HostServiceException WrongCount(string member, int count, int offered) => new(
        $"The console channel {channel.GetType()} returned {count} from {member}, which was offered {offered} bytes; it has to return 0 to {offered}.");
}
