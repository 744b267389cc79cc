using Uml.Net.Frames;
using Uml.Net.Packets;

namespace Uml.Net.Offloads;

/// <summary>
/// A transport that takes every frame, whatever is left to do for it: checksums are completed and segments cut here where the transport
/// behind it cannot.
/// </summary>
/// <remarks>A frame of which the transport behind takes a part only counts as not sent; when it is the first of the next call, the rest of it is.</remarks>
public sealed class OffloadingTransport : INetTransport
{
    /// <summary>Segments that are made before they are sent: UML's default depth of a vector.</summary>
    private const int Depth = 64;

    private readonly INetTransport _inner;
    private readonly NetOffloads _innerOffloads;
    private readonly bool _ownsInner;
    private readonly int _longest;
    private readonly FrameSegmenter _segmenter = new();
    private readonly NetFrame[] _segments = new NetFrame[Depth];
    private readonly Memory<byte>[] _headers = new Memory<byte>[Depth];

    /// <summary>The frame that was sent in part, and its segments that were.</summary>
    private NetFrame? _partial;
    private int _partialSegments;
    private long _wrong;

    /// <summary>Makes it.</summary>
    /// <param name="inner">The transport behind it.</param>
    /// <param name="ownsInner">Whether it is disposed with this one.</param>
    public OffloadingTransport(INetTransport inner, bool ownsInner = true)
    {
        ArgumentNullException.ThrowIfNull(inner);
        (_inner, _ownsInner) = (inner, ownsInner);
        _innerOffloads = inner.Features.SendOffloads;
        _longest = inner.Features.Mtu + NetTransportFeatures.FrameOverhead;
        Features = inner.Features with { SendOffloads = NetOffloads.All, MaximumFrameLength = Math.Max(inner.Features.MaximumFrameLength, ushort.MaxValue) };

        // Not moved by the collector, so that the host can be given their addresses without more ado.
        byte[] headers = GC.AllocateUninitializedArray<byte>(Depth * FrameLayout.HeadLength, pinned: true);
        for (int i = 0; i < Depth; i++)
        {
            _segments[i] = new NetFrame();
            _headers[i] = System.Runtime.InteropServices.MemoryMarshal.CreateFromPinnedArray(headers, i * FrameLayout.HeadLength, FrameLayout.HeadLength);
        }
    }

    /// <inheritdoc/>
    public event EventHandler? ConnectionChanged
    {
        add => _inner.ConnectionChanged += value;
        remove => _inner.ConnectionChanged -= value;
    }

    /// <inheritdoc/>
    public NetTransportFeatures Features { get; }

    /// <inheritdoc/>
    public bool IsConnected => _inner.IsConnected;

    /// <summary>Frames that were not sent since what was left to do for them cannot be done: their headers are none, or say something else.</summary>
    public long WrongFrames => Volatile.Read(ref _wrong);

    /// <inheritdoc/>
    public long DroppedFrames => _inner.DroppedFrames;

    /// <inheritdoc/>
    public long LostFrames => _inner.LostFrames + WrongFrames;

    /// <inheritdoc/>
    public void AcceptOffloads(NetOffloads offloads) => _inner.AcceptOffloads(offloads);

    /// <inheritdoc/>
    public int Send(ReadOnlySpan<NetFrame> frames)
    {
        int sent = 0;
        while (sent < frames.Length)
        {
            int end = sent;
            while (end < frames.Length && IsSentAsItIs(frames[end]))
            {
                end++;
            }

            if (end > sent)
            {
                sent += _inner.Send(frames[sent..end]);
                if (sent != end)
                {
                    break;
                }
            }
            else if (TrySendCompleted(frames[sent]))
            {
                sent++;
            }
            else
            {
                break;
            }
        }

        return sent;
    }

    /// <inheritdoc/>
    public int Receive(ReadOnlySpan<NetFrame> frames) => _inner.Receive(frames);

    /// <inheritdoc/>
    public ValueTask<bool> WaitToSendAsync(CancellationToken cancellationToken = default) => _inner.WaitToSendAsync(cancellationToken);

    /// <inheritdoc/>
    public ValueTask<bool> WaitToReceiveAsync(CancellationToken cancellationToken = default) => _inner.WaitToReceiveAsync(cancellationToken);

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _ownsInner ? _inner.DisposeAsync() : ValueTask.CompletedTask;

    private bool IsSentAsItIs(NetFrame frame) => (frame.Offload.Required & ~_innerOffloads) == 0;

    private bool TrySendCompleted(NetFrame frame)
    {
        bool isCut = frame.Offload.Segmentation != NetSegmentation.None;
        return isCut ? TrySendSegments(frame) : TrySendWithChecksum(frame);
    }

    /// <summary>Sends a frame with its checksum, beside which it is left as it is: its memory is its sender's.</summary>
    private bool TrySendWithChecksum(NetFrame frame)
    {
        if (!FrameChecksum.TryCompute(frame, out int field, out ushort checksum) || field + sizeof(ushort) > FrameLayout.HeadLength)
        {
            Interlocked.Increment(ref _wrong);
            return true;
        }

        NetFrame completed = _segments[0];
        Memory<byte> head = _headers[0][..(field + sizeof(ushort))];
        frame.CopyTo(head.Span);
        FrameChecksum.Write(head.Span, field, checksum);
        completed.Clear();
        completed.Add(head);
        completed.AddPart(frame, head.Length, frame.Length - head.Length);
        return _inner.Send(_segments.AsSpan(0, 1)) == 1;
    }

    private bool TrySendSegments(NetFrame frame)
    {
        if (!_segmenter.TryBegin(frame) || _segmenter.HeaderLength + frame.Offload.SegmentSize > _longest)
        {
            Interlocked.Increment(ref _wrong);
            return true;
        }

        int done = frame == _partial ? _partialSegments : 0;
        _partial = null;
        _segmenter.Skip(done);
        while (!_segmenter.IsDone)
        {
            int count = 0;
            for (; count < Depth && !_segmenter.IsDone; count++)
            {
                _segmenter.MakeNext(_segments[count], _headers[count]);
            }

            int sent = _inner.Send(_segments.AsSpan(0, count));
            done += sent;
            if (sent < count)
            {
                (_partial, _partialSegments) = (frame, done);
                return false;
            }
        }

        return true;
    }
}
