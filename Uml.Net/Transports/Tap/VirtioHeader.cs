using Uml.Net.Frames;
using Uml.Net.Transports.Descriptors;

namespace Uml.Net.Transports.Tap;

/// <summary>
/// What is left to do for a frame (virtio 1.2, 5.1.6), with or without the count of buffers, which is of no use here: zero when sent, and not looked at.
/// </summary>
internal sealed class VirtioHeader(int size) : FrameHeader
{
    /// <summary>Bytes of the header with the count of buffers.</summary>
    public const int LongSize = 12;

    public override int SendLength => size;

    public override void Write(Span<byte> header, NetFrame frame, ulong number) => frame.Offload.Write(header);

    public override int Read(ReadOnlySpan<byte> header, ReadOnlySpan<byte> extra, NetFrame frame)
    {
        frame.Offload = NetOffload.Read(header);
        return 0;
    }
}
