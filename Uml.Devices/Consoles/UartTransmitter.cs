using Uml.Core.Bus;
using Uml.Core.Snapshots;

namespace Uml.Devices.Consoles;

/// <summary>
/// Buffers the output of a serial port and passes it to the channel in larger pieces: when the buffer is full, a short time after the first
/// byte, and when the guest becomes idle.
/// </summary>
internal sealed class UartTransmitter : IStateful
{
    private const int BatchSize = 4096;

    // A driver that has found the holding register empty fills the FIFO without looking again: that always has room.
    private const int BufferSize = BatchSize + Uart16550.FifoSize;

    // The longest time that output is buffered, in nanoseconds of guest time; too short for people to notice. The number is ours.
    private const ulong LongestDelay = 1_000_000;

    private readonly byte[] _buffer = new byte[BufferSize];
    private readonly IConsoleChannel _channel;
    private readonly IMachineClock _clock;
    private readonly IMachineTimer _timer;
    private int _count;

    public UartTransmitter(IConsoleChannel channel, IMachineClock clock, string name)
    {
        _channel = channel;
        _clock = clock;
        _timer = clock.CreateTimer(name, Flush);
    }

    /// <summary>Whether the channel takes no more at the moment: the guest has to wait, or its bytes are lost as on a real line.</summary>
    public bool IsFull => _count >= BatchSize;

    /// <summary>Sends a byte.</summary>
    public void Add(byte value)
    {
        if (_count == BufferSize)
        {
            return;
        }

        if (_count == 0)
        {
            _timer.Schedule(_clock.Nanoseconds + LongestDelay);
        }

        _buffer[_count++] = value;
        if (IsFull)
        {
            Flush();
        }
    }

    /// <summary>Passes to the channel what it accepts, and drops the rest.</summary>
    public void Reset()
    {
        Flush();
        _count = 0;
        _timer.Cancel();
    }

    /// <inheritdoc/>
    public void SaveState(StateWriter state)
    {
        state.WriteBlob(_buffer.AsSpan(0, _count));
        state.Write(_timer);
    }

    /// <inheritdoc/>
    public void RestoreState(StateReader state)
    {
        ReadOnlySpan<byte> waiting = state.ReadBlob(BufferSize);
        waiting.CopyTo(_buffer);
        _count = waiting.Length;
        state.Restore(_timer);
    }

    /// <summary>Hands over as much as the channel takes.</summary>
    public void Flush()
    {
        if (_count == 0)
        {
            return;
        }

        int accepted = _channel.Write(_buffer.AsSpan(0, _count));
        _count -= accepted;
        _buffer.AsSpan(accepted, _count).CopyTo(_buffer);
        if (_count == 0)
        {
            _timer.Cancel();
        }
    }
}
