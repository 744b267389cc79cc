using System.Net.Sockets;
using Uml.Net.Frames;

namespace Uml.Net.Tests.Transports;

/// <summary>Sends and receives frames, with patience that ends.</summary>
internal static class Exchange
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(20);

    /// <summary>A frame whose bytes tell of themselves.</summary>
    public static byte[] Frame(int length, int seed = 1)
    {
        byte[] frame = new byte[length];
        for (int i = 0; i < length; i++)
        {
            frame[i] = (byte)((i * 7) + seed);
        }

        // A station's address, as the first byte says.
        frame[0] = 2;
        return frame;
    }

    public static NetFrame[] Rooms(int count, int length = 2048)
    {
        NetFrame[] rooms = new NetFrame[count];
        for (int i = 0; i < count; i++)
        {
            rooms[i] = new NetFrame();

            // In uneven pieces, one of them empty.
            rooms[i].Add(new byte[Math.Min(5, length)]);
            rooms[i].Add(Memory<byte>.Empty);
            rooms[i].Add(new byte[Math.Max(0, length - 5)]);
        }

        return rooms;
    }

    public static byte[] Content(NetFrame frame)
    {
        byte[] content = new byte[frame.Length];
        frame.CopyTo(content);
        return content;
    }

    public static async Task SendAsync(INetTransport transport, params NetFrame[] frames)
    {
        using CancellationTokenSource patience = new(s_patience);
        for (int done = 0; ;)
        {
            done += transport.Send(frames.AsSpan(done));
            if (done == frames.Length)
            {
                return;
            }

            Assert.That(await transport.WaitToSendAsync(patience.Token), Is.True, "closed while there was something to be sent");
        }
    }

    public static Task SendAsync(INetTransport transport, params byte[][] frames) =>
        SendAsync(transport, Array.ConvertAll(frames, frame => new NetFrame(frame)));

    public static async Task<byte[][]> ReceiveAsync(INetTransport transport, int count, int room = 2048)
    {
        using CancellationTokenSource patience = new(s_patience);
        List<byte[]> received = [];
        while (received.Count < count)
        {
            NetFrame[] rooms = Rooms(count - received.Count, room);
            int now = transport.Receive(rooms);
            received.AddRange(rooms.Take(now).Select(Content));
            if (now == 0)
            {
                try
                {
                    Assert.That(await transport.WaitToReceiveAsync(patience.Token), Is.True, $"closed after {received.Count} of {count} frames");
                }
                catch (OperationCanceledException)
                {
                    Assert.Fail(
                        $"{received.Count} of {count} frames came, {transport.DroppedFrames} were dropped, and there are {transport.Receive(rooms)} that nobody was told of.");
                }
            }
        }

        return [.. received];
    }

    public static async Task AssertBothWaysAsync(INetTransport first, INetTransport second, params int[] lengths)
    {
        foreach ((INetTransport from, INetTransport to) in new[] { (first, second), (second, first) })
        {
            byte[][] frames = Array.ConvertAll(lengths.Length == 0 ? [14, 60, 61, 1514] : lengths, length => Frame(length, seed: length));
            long lost = from.LostFrames;
            await SendAsync(from, frames);
            Assert.That(from.LostFrames, Is.EqualTo(lost), "the host has lost what was sent");
            Assert.That(await ReceiveAsync(to, frames.Length, lengths.Append(2048).Max()), Is.EqualTo(frames));
        }
    }

    /// <summary>Receives until a frame comes that is sent now, which has to be the only one.</summary>
    public static async Task AssertOnlyAsync(INetTransport transport, byte[] expected) =>
        Assert.That(await ReceiveAsync(transport, 1), Is.EqualTo(new[] { expected }));

    public static async Task<byte[]> ReceiveAsync(Socket socket)
    {
        byte[] buffer = new byte[70_000];
        using CancellationTokenSource patience = new(s_patience);
        return buffer[..await socket.ReceiveAsync(buffer, patience.Token)];
    }

    public static async Task EventuallyAsync(Func<bool> condition, string what)
    {
        for (long end = Environment.TickCount64 + (long)s_patience.TotalMilliseconds; !condition();)
        {
            Assert.That(Environment.TickCount64, Is.LessThan(end), what);
            await Task.Delay(5);
        }
    }
}
