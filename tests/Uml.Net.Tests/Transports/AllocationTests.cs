using Uml.Net.Frames;
using Uml.Net.Transports.Datagrams;
using Uml.Net.Transports.L2tp;
using Uml.Net.Transports.Streams;
using Uml.Net.Transports.Vxlan;
using Socket = Uml.Net.Interop.Socket;

namespace Uml.Net.Tests.Transports;

/// <summary>In steady state no packet costs memory of the collector's.</summary>
[TestFixture]
public sealed class AllocationTests
{
    private const int Batch = 16, Rounds = 200;

    [TestCase(true), TestCase(false)]
    public async Task Records_cost_nothing(bool isVectored)
    {
        await using DescriptorPair pair = new(Socket.SequencedPacket);
        AssertNothingIsAllocated(pair.OpenFirst(options => options with { IsVectored = isVectored }), pair.OpenSecond(options => options with { IsVectored = isVectored }));
    }

    [Test]
    public async Task Streams_cost_nothing()
    {
        using TemporaryFolder folder = new();
        await using INetTransport server = new StreamOptions { Address = folder["socket"], IsServer = true }.Open(), client = new StreamOptions { Address = folder["socket"] }.Open();
        await Exchange.EventuallyAsync(() => server.IsConnected, "nobody was accepted");
        AssertNothingIsAllocated(client, server);
        AssertNothingIsAllocated(server, client);
    }

    [Test]
    public async Task Datagrams_cost_nothing()
    {
        using TemporaryFolder folder = new();
        DatagramOptions options = new() { Source = folder["a"], Destination = folder["b"] };
        await using INetTransport first = options.Open(), second = (options with { Source = options.Destination, Destination = options.Source }).Open();
        AssertNothingIsAllocated(first, second, batch: 8);
    }

    [Test]
    public async Task Tunnels_cost_nothing()
    {
        L2tpOptions l2tp = new()
        {
            Destination = "127.0.0.1", UsesUdp = true, SourcePort = Ports.Take(), DestinationPort = Ports.Take(), ReceiveSession = 1, SendSession = 1,
            ReceiveCookie = 2, SendCookie = 2, HasCounter = true,
        };
        await using INetTransport first = l2tp.Open(), second = (l2tp with { SourcePort = l2tp.DestinationPort, DestinationPort = l2tp.SourcePort }).Open();
        AssertNothingIsAllocated(first, second);
        VxlanOptions vxlan = new() { Destination = "127.0.0.1", SourcePort = Ports.Take(), DestinationPort = Ports.Take(), Network = 1 };
        await using INetTransport third = vxlan.Open(), fourth = (vxlan with { SourcePort = vxlan.DestinationPort, DestinationPort = vxlan.SourcePort }).Open();
        AssertNothingIsAllocated(third, fourth);
    }

    private static void AssertNothingIsAllocated(INetTransport first, INetTransport second, int batch = Batch)
    {
        NetFrame[] frames = Exchange.Rooms(batch, 1514), rooms = Exchange.Rooms(batch, 1514);
        foreach (NetFrame frame in frames)
        {
            frame.Length = frame.Capacity;
        }

        // Once before, for what is made at the first use.
        Run(first, second, frames, rooms);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < Rounds; i++)
        {
            Run(first, second, frames, rooms);
        }

        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.Zero);
    }

    /// <summary>With a wait for what ends at once, on this thread: none of them is left.</summary>
    private static void Run(INetTransport first, INetTransport second, NetFrame[] frames, NetFrame[] rooms)
    {
        int sent = first.Send(frames);
        for (int received = 0; received < sent;)
        {
            received += second.Receive(rooms.AsSpan(received));
            ValueTask<bool> wait = received < sent ? second.WaitToReceiveAsync() : ValueTask.FromResult(true);
            while (!wait.IsCompleted)
            {
                Thread.Yield();
            }

            _ = wait.GetAwaiter().GetResult();
        }
    }
}
