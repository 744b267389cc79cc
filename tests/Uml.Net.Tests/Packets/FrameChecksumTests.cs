using Uml.Net.Frames;
using Uml.Net.Packets;

namespace Uml.Net.Tests.Packets;

public sealed class FrameChecksumTests
{
    [Test]
    public void The_checksum_that_a_guest_left_out_is_completed([Values] bool isIp6, [Values] bool isTcp, [Values(0, 1, 2)] int tags, [Values(0, 1, 777)] int length)
    {
        byte[] data = new byte[length];
        new Random(length).NextBytes(data);
        byte[] bytes = isTcp ? Packet.Tcp(isIp6, data, tags: tags) : Packet.Udp(isIp6, data, tags);
        int start = Packet.Ethernet + (4 * tags) + (isIp6 ? 40 : 20);
        NetFrame frame = new(bytes) { Offload = Needs(start, isTcp ? 16 : 6) };

        Assert.That(FrameChecksum.TryCompute(frame, out int field, out ushort checksum));
        FrameChecksum.Write(bytes, field, checksum);

        Packet.AssertIsComplete(bytes, tags);
    }

    [TestCase(54, 16)]
    [TestCase(60, 0)]
    [TestCase(59, 0)]
    [TestCase(0, 59)]
    [TestCase(65535, 65535)]
    public void A_checksum_outside_the_frame_is_refused(int start, int offset)
    {
        NetFrame frame = new(new byte[60]) { Offload = Needs(start, offset) };
        Assert.That(FrameChecksum.TryCompute(frame, out _, out _), Is.False);
    }

    [Test]
    public void A_checksum_of_zero_is_written_as_its_other_form()
    {
        // FFFFH over the rest leaves nothing: zero, which UDP has for "none".
        byte[] bytes = new byte[20];
        bytes[18] = bytes[19] = 0xFF;
        NetFrame frame = new(bytes) { Offload = Needs(10, 0) };
        Assert.That(FrameChecksum.TryCompute(frame, out _, out ushort checksum));
        Assert.That(checksum, Is.EqualTo(0xFFFF));
    }

    private static NetOffload Needs(int start, int offset) =>
        new() { Flags = NetOffload.NeedsChecksum, ChecksumStart = (ushort)start, ChecksumOffset = (ushort)offset };
}
