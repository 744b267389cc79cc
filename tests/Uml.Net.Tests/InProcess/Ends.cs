using Uml.Net.Frames;

namespace Uml.Net.Tests.InProcess;

/// <summary>What tests do with transports.</summary>
internal static class Ends
{
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    /// <summary>A frame from one station to another, with data that a number says.</summary>
    public static byte[] Frame(int destination, int source, int number = 0, int length = 60, int vlan = -1)
    {
        byte[] frame = new byte[length];
        new Random(number).NextBytes(frame);
        Station(destination).CopyTo(frame, 0);
        Station(source).CopyTo(frame, 6);
        (frame[12], frame[13]) = (0x88, 0xB5);
        return vlan < 0 ? frame : [.. frame[..12], 0x81, 0, (byte)(vlan >> 8), (byte)vlan, .. frame[12..]];
    }

    /// <summary>The address of a station; that of -1 is for all.</summary>
    public static byte[] Station(int number) =>
        number < 0 ? [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF] : [2, 0, 0, 0, (byte)(number >> 8), (byte)number];

    public static void Send(INetTransport transport, params byte[][] frames)
    {
        NetFrame[] sent = [.. frames.Select(frame => new NetFrame(frame))];
        Assert.That(transport.Send(sent), Is.EqualTo(sent.Length));
    }

    /// <summary>All that is there to be received.</summary>
    public static List<NetFrame> Receive(INetTransport transport, int room = 66_000)
    {
        List<NetFrame> received = [];
        while (true)
        {
            NetFrame frame = new();
            frame.Add(new byte[room / 3]);
            frame.Add(new byte[room - (room / 3)]);
            if (transport.Receive([frame]) == 0)
            {
                return received;
            }

            received.Add(frame);
        }
    }

    public static byte[][] ReceiveBytes(INetTransport transport) => [.. Receive(transport).Select(Packets.Packet.ToArray)];
}
