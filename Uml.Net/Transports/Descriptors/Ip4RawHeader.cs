using Uml.Net.Frames;

namespace Uml.Net.Transports.Descriptors;

/// <summary>Raw sockets of IPv4 receive the header of IP too, whose length its options change; they send without it (raw(7)).</summary>
internal sealed class Ip4RawHeader(FrameHeader inner) : FrameHeader
{
    private const int Ip4Length = 20;

    public override int SendLength => inner.SendLength;

    public override int ReceiveLength => Ip4Length + inner.ReceiveLength;

    public override void Write(Span<byte> header, NetFrame frame, ulong number) => inner.Write(header, frame, number);

    public override int Read(ReadOnlySpan<byte> header, ReadOnlySpan<byte> extra, NetFrame frame)
    {
        int length = (header[0] & 0xF) * sizeof(uint);
        if (length <= Ip4Length)
        {
            return length < Ip4Length ? Drop : inner.Read(header[Ip4Length..], extra, frame);
        }

        // The options have moved our header, or its end, to where the frame should be.
        Span<byte> moved = stackalloc byte[inner.ReceiveLength];
        ReadOnlySpan<byte> first = length < header.Length ? header[length..] : default;
        first.CopyTo(moved);
        int rest = moved.Length - first.Length;
        if (frame.CopyTo(moved[first.Length..], Math.Max(0, length - header.Length)) != rest)
        {
            return Drop;
        }

        int excess = inner.Read(moved, extra, frame);
        return excess < 0 ? Drop : excess + length - Ip4Length;
    }
}
