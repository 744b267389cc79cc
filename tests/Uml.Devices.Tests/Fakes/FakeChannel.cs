using System.Text;
using Uml.Devices.Consoles;

namespace Uml.Devices.Tests.Fakes;

/// <summary>A console whose host end the test plays.</summary>
internal sealed class FakeChannel : IConsoleChannel
{
    private readonly Queue<byte> _input = new();
    private Action? _ready;

    public StringBuilder Output { get; } = new();

    public int WriteCount { get; private set; }

    /// <summary>Bytes that are accepted before the channel is full.</summary>
    public int Room { get; set; } = int.MaxValue;

    public int Waiting => _input.Count;

    public void Attach(Action ready) => _ready = ready;

    public int Read(Span<byte> destination)
    {
        int count = 0;
        while (count < destination.Length && _input.TryDequeue(out byte value))
        {
            destination[count++] = value;
        }

        return count;
    }

    public int Write(ReadOnlySpan<byte> source)
    {
        WriteCount++;
        int count = Math.Min(source.Length, Room);
        Room -= count;
        Output.Append(Encoding.Latin1.GetString(source[..count]));
        return count;
    }

    public void Type(string text)
    {
        foreach (char c in text)
        {
            _input.Enqueue((byte)c);
        }

        Ready();
    }

    public void Ready() => _ready!();
}
