using System.Runtime.InteropServices;
using Uml.Net.Frames;
using Uml.Net.Packets;
using Uml.Net.Transports.Descriptors;

namespace Uml.Net.Transports.Raw;

/// <summary>
/// Receives frames for which something is left to do, and does what the receiver does not accept: completes checksums, and cuts segments. Frames wait
/// here while the receiver has no room for all of their segments.
/// </summary>
internal sealed class FrameCompleter
{
    /// <summary>Frames that are received at once.</summary>
    private const int Depth = 8;

    private readonly DescriptorReceiver _receiver;
    private readonly byte[][] _memory;
    private readonly NetFrame[] _frames;
    private readonly FrameSegmenter _segmenter = new();
    private readonly NetFrame _segment = new();
    private readonly byte[] _segmentHeader = new byte[FrameLayout.HeadLength];
    private int _next, _count;
    private bool _isCutting;
    private long _dropped;

    public FrameCompleter(DescriptorReceiver receiver, int longestFrame)
    {
        _receiver = receiver;
        _memory = new byte[Depth][];
        _frames = new NetFrame[Depth];
        for (int i = 0; i < Depth; i++)
        {
            _memory[i] = GC.AllocateUninitializedArray<byte>(longestFrame, pinned: true);
            _frames[i] = new NetFrame(MemoryMarshal.CreateFromPinnedArray(_memory[i], 0, longestFrame));
        }
    }

    /// <summary>Whether nothing waits here.</summary>
    public bool IsEmpty => _next == _count && !_isCutting;

    public long Dropped => Volatile.Read(ref _dropped);

    public int Receive(ReadOnlySpan<NetFrame> frames, NetOffloads accepted)
    {
        int done = 0;
        while (done < frames.Length)
        {
            if (_isCutting)
            {
                _segmenter.MakeNext(_segment, _segmentHeader);
                _isCutting = !_segmenter.IsDone;
                done += Count(FramePieces.TryMove(_segment, frames[done]));
            }
            else if (_next < _count)
            {
                done += Take(_next++, frames[done], accepted);
            }
            else if (!TryRefill())
            {
                break;
            }
        }

        return done;
    }

    private bool TryRefill()
    {
        (_next, _count) = (0, _receiver.Receive(_frames));
        return _count != 0;
    }

    private int Take(int index, NetFrame room, NetOffloads accepted)
    {
        NetFrame frame = _frames[index];
        NetOffload offload = frame.Offload;
        if ((offload.Required & ~accepted) != 0)
        {
            if (offload.Segmentation != NetSegmentation.None)
            {
                _isCutting = _segmenter.TryBegin(frame);
                _dropped += _isCutting ? 0 : 1;
                return 0;
            }

            if (!FrameChecksum.TryCompute(frame, out int field, out ushort checksum))
            {
                return Count(isTaken: false);
            }

            FrameChecksum.Write(_memory[index], field, checksum);
            offload = default;
        }

        bool isTaken = room.TryCopyFrom(_memory[index].AsSpan(0, frame.Length));
        room.Offload = offload;
        return Count(isTaken);
    }

    private int Count(bool isTaken)
    {
        _dropped += isTaken ? 0 : 1;
        return isTaken ? 1 : 0;
    }
}
