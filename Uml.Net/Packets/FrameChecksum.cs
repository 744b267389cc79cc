using System.Runtime.InteropServices;
using Uml.Net.Frames;

namespace Uml.Net.Packets;

/// <summary>Completes the checksum of a frame whose sender left it to us (virtio 1.2, 5.1.6.2).</summary>
internal static class FrameChecksum
{
    /// <summary>The checksum that a frame lacks.</summary>
    /// <param name="frame">The frame, which has <see cref="NetOffload.NeedsChecksum"/>.</param>
    /// <param name="field">Offset of the field that it belongs into.</param>
    /// <param name="checksum">The checksum, in native byte order.</param>
    /// <returns>False when its sender lies: the checksum is not within the frame.</returns>
    public static bool TryCompute(NetFrame frame, out int field, out ushort checksum)
    {
        NetOffload offload = frame.Offload;
        field = offload.ChecksumStart + offload.ChecksumOffset;
        checksum = 0;
        if (offload.ChecksumStart >= frame.Length || field > frame.Length - sizeof(ushort))
        {
            return false;
        }

        // The field holds the sum of the pseudo-header, and counts as the rest does. Zero would mean that a UDP datagram has no checksum
        // (RFC 768); in ones' complement FFFFH is as much.
        ushort sum = InternetChecksum.Complete(InternetChecksum.Add(frame, offload.ChecksumStart));
        checksum = sum == 0 ? ushort.MaxValue : sum;
        return true;
    }

    /// <summary>Writes a checksum to a frame's beginning.</summary>
    public static void Write(Span<byte> head, int field, ushort checksum) => MemoryMarshal.Write(head[field..], checksum);
}
