using Uml.Net.Frames;
using Uml.Net.Interop;
using Uml.Net.Polling;

namespace Uml.Net.Transports.Descriptors;

/// <summary>Sends frames to a descriptor, one in each message.</summary>
internal sealed class DescriptorSender
{
    private readonly string _name;
    private readonly PolledDescriptor _polled;
    private readonly MessageBatch _batch;
    private readonly FrameHeader? _header;
    private bool _isFull;
    private ulong _sent;
    private long _lost;

    /// <param name="name">What messages call the transport.</param>
    /// <param name="polled">The descriptor.</param>
    /// <param name="kind">What it is.</param>
    /// <param name="depth">Frames of one call.</param>
    /// <param name="header">What stands before each frame.</param>
    /// <param name="destination">Where to; empty when the socket is connected.</param>
    public DescriptorSender(
        string name, PolledDescriptor polled, DescriptorKind kind, int depth, FrameHeader? header = null, ReadOnlySpan<byte> destination = default)
    {
        (_name, _polled, _header) = (name, polled, header);
        _batch = new MessageBatch(depth, header?.SendLength ?? 0, isSocket: kind != DescriptorKind.File, destination);
    }

    /// <summary>Nobody is there to take it, or not any more. Raised by <see cref="Send"/>.</summary>
    public event Action? Refused;

    public long Lost => Volatile.Read(ref _lost);

    /// <summary>Loses frames: there is nobody to send them to.</summary>
    public int Lose(int count)
    {
        _lost += count;
        return count;
    }

    public int Send(ReadOnlySpan<NetFrame> frames)
    {
        int done = 0;
        while (done < frames.Length)
        {
            if (frames[done].Pieces.Length > MessageBatch.MaximumPieces)
            {
                done += Lose(1);
                continue;
            }

            int sent = SendBatch(frames[done..]);
            if (sent == 0)
            {
                break;
            }

            done += sent;
        }

        return done;
    }

    public ValueTask<bool> WaitAsync(CancellationToken cancellationToken) => _polled.Writable.WaitAsync(_isFull, cancellationToken);

    /// <returns>Frames that were sent or lost; none when there is no room.</returns>
    private int SendBatch(ReadOnlySpan<NetFrame> frames)
    {
        int count, error;
        try
        {
            for (int i = 0; i < frames.Length && frames[i].Pieces.Length <= MessageBatch.MaximumPieces && _batch.TryAdd(frames[i], frames[i].Length); i++)
            {
                _header?.Write(_batch.Header(i), frames[i], _sent + (ulong)i);
            }

            count = _batch.Send(_polled.Descriptor, out error);
        }
        finally
        {
            _batch.Release();
        }

        if (count < 0)
        {
            return OnError(error);
        }

        _isFull = false;
        _sent += (ulong)count;
        return count;
    }

    private int OnError(int error)
    {
        switch (error)
        {
            case Errno.Again:
                _isFull = true;
                return 0;
            case Errno.ConnectionRefused or Errno.ConnectionReset or Errno.NotConnected or Errno.BrokenPipe:
                Refused?.Invoke();
                return Lose(1);
            case Errno.NoBuffers or Errno.NoMemory or Errno.MessageTooLong or Errno.HostUnreachable or Errno.HostDown or Errno.NetworkUnreachable or Errno.NetworkDown
                or Errno.NotPermitted or Errno.Access or Errno.Io or Errno.NoEntry or Errno.Invalid:
                // A firewall forbids it, the interface is down or has a smaller MTU, or a guest's header is wrong.
                return Lose(1);
            default:
                throw HostError.OnUse(_name, error);
        }
    }
}
