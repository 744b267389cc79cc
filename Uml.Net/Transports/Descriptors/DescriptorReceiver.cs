using Uml.Net.Frames;
using Uml.Net.Interop;
using Uml.Net.Packets;
using Uml.Net.Polling;

namespace Uml.Net.Transports.Descriptors;

/// <summary>Receives frames from a descriptor, one from each message.</summary>
internal sealed class DescriptorReceiver
{
    private readonly string _name;
    private readonly PolledDescriptor _polled;
    private readonly MessageBatch _batch;
    private readonly FrameHeader? _header;
    private readonly int _headerLength;
    private readonly bool _canEnd;
    private bool _isDrained, _hasEnded;
    private long _dropped;

    /// <param name="name">What messages call the transport.</param>
    /// <param name="polled">The descriptor.</param>
    /// <param name="kind">What it is.</param>
    /// <param name="depth">Frames of one call.</param>
    /// <param name="header">What stands before each frame.</param>
    /// <param name="extra">What the header is told beside.</param>
    public DescriptorReceiver(string name, PolledDescriptor polled, DescriptorKind kind, int depth, FrameHeader? header = null, MessageExtra extra = MessageExtra.None)
    {
        (_name, _polled, _header, _headerLength) = (name, polled, header, header?.ReceiveLength ?? 0);
        _canEnd = kind == DescriptorKind.Connection;
        _batch = new MessageBatch(depth, _headerLength, isSocket: kind != DescriptorKind.File, extra: extra);
    }

    /// <summary>The other end is gone. Raised by <see cref="Receive"/>.</summary>
    public event Action? Ended;

    public long Dropped => Volatile.Read(ref _dropped);

    public int Receive(ReadOnlySpan<NetFrame> frames)
    {
        int done = 0;
        while (done < frames.Length && !_hasEnded)
        {
            // A peer that sends nothing of use does not keep the caller here.
            int received = ReceiveBatch(frames[done..]);
            if (received == 0)
            {
                break;
            }

            done += received;
        }

        return done;
    }

    public ValueTask<bool> WaitAsync(CancellationToken cancellationToken) => _polled.Readable.WaitAsync(_isDrained || _hasEnded, cancellationToken);

    private int ReceiveBatch(ReadOnlySpan<NetFrame> rooms)
    {
        int count, error;
        try
        {
            for (int i = 0; i < rooms.Length && _batch.TryAdd(rooms[i], rooms[i].Capacity); i++)
            {
            }

            count = _batch.Receive(_polled.Descriptor, out error);
        }
        finally
        {
            _batch.Release();
        }

        if (count < 0)
        {
            OnError(error);
            return 0;
        }

        int good = 0;
        bool isEmpty = true;
        for (int i = 0; i < count; i++)
        {
            isEmpty &= _batch.Length(i) == 0;

            // When one is dropped, those behind it move up.
            if (TryFinish(rooms[i], i) && (i == good || FramePieces.TryMove(rooms[i], rooms[good])))
            {
                good++;
            }
            else
            {
                _dropped++;
            }
        }

        // A record without bytes looks like the end.
        if (isEmpty && _canEnd && HostSocket.IsHungUpWithin(_polled.Descriptor, milliseconds: 0))
        {
            _dropped -= count;
            End();
        }

        return good;
    }

    private bool TryFinish(NetFrame frame, int index)
    {
        int length = _batch.Length(index) - _headerLength;
        if (length < FrameLayout.EthernetLength || _batch.IsCutOff(index))
        {
            return false;
        }

        frame.Length = length;
        frame.Offload = default;
        int excess = _header?.Read(_batch.Header(index), _batch.Extra(index), frame) ?? 0;
        if (excess < 0 || length - excess < FrameLayout.EthernetLength)
        {
            return false;
        }

        if (excess != 0)
        {
            FramePieces.RemoveFirst(frame, excess);
        }

        return true;
    }

    private void OnError(int error)
    {
        switch (error)
        {
            case Errno.Again:
                _isDrained = true;
                break;
            case Errno.ConnectionReset when _canEnd:
                End();
                break;
            case Errno.ConnectionRefused or Errno.ConnectionReset or Errno.HostUnreachable or Errno.NetworkUnreachable or Errno.NetworkDown
                or Errno.HostDown or Errno.NoBuffers or Errno.NoMemory or Errno.MessageTooLong or Errno.Access:
                // Of what was sent before; the host says so once.
                break;
            default:
                throw HostError.OnUse(_name, error);
        }
    }

    private void End()
    {
        _hasEnded = true;
        Ended?.Invoke();
    }
}
