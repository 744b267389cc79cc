using System.Net;
using System.Net.Sockets;
using BenchmarkDotNet.Attributes;
using Uml.Net.Frames;
using Uml.Net.InProcess;
using Uml.Net.Transports.Datagrams;
using Uml.Net.Transports.Fd;
using Uml.Net.Transports.L2tp;
using Uml.Net.Transports.Streams;
using Uml.Net.Transports.Vxlan;

namespace Uml.Benchmarks;

/// <summary>Which transport is measured.</summary>
public enum BenchmarkedTransport
{
    /// <summary>A link within the process, for comparison.</summary>
    Link,

    /// <summary>A socket of records, as bess has.</summary>
    Fd,

    /// <summary>The same, one frame a call.</summary>
    FdOneByOne,
    Stream,
    Datagram,
    L2tpUdp,
    Vxlan,
}

/// <summary>Transports that need no privilege.</summary>
public class HostTransportBenchmarks : NetTransportBenchmark
{
    private readonly string _folder = Path.Combine(Path.GetTempPath(), $"uml-benchmark-{Guid.NewGuid():N}");

    [ParamsAllValues]
    public BenchmarkedTransport Transport { get; set; }

    public override async Task CleanUpAsync()
    {
        await base.CleanUpAsync();
        Directory.Delete(_folder, recursive: true);
    }

    protected override async Task<(INetTransport First, INetTransport Second)> OpenAsync()
    {
        Directory.CreateDirectory(_folder);
        (int port, int other) = (FreePort(), FreePort());
        switch (Transport)
        {
            case BenchmarkedTransport.Link:
                NetLink link = new();
                return (link.First, link.Second);
            case BenchmarkedTransport.Fd or BenchmarkedTransport.FdOneByOne:
                return OpenRecords(isVectored: Transport == BenchmarkedTransport.Fd);
            case BenchmarkedTransport.Stream:
                StreamOptions stream = new() { Address = Path.Combine(_folder, "socket") };
                INetTransport server = (stream with { IsServer = true }).Open(), client = stream.Open();
                while (!server.IsConnected)
                {
                    await Task.Delay(1);
                }

                return (client, server);
            case BenchmarkedTransport.Datagram:
                DatagramOptions datagrams = new() { Source = Path.Combine(_folder, "a"), Destination = Path.Combine(_folder, "b") };
                return (datagrams.Open(), (datagrams with { Source = datagrams.Destination, Destination = datagrams.Source }).Open());
            case BenchmarkedTransport.L2tpUdp:
                L2tpOptions l2tp = new() { Destination = "127.0.0.1", UsesUdp = true, SourcePort = port, DestinationPort = other, ReceiveSession = 1, SendSession = 1 };
                return (l2tp.Open(), (l2tp with { SourcePort = other, DestinationPort = port }).Open());
            default:
                VxlanOptions vxlan = new() { Destination = "127.0.0.1", SourcePort = port, DestinationPort = other, Network = 1 };
                return (vxlan.Open(), (vxlan with { SourcePort = other, DestinationPort = port }).Open());
        }
    }

    private (INetTransport First, INetTransport Second) OpenRecords(bool isVectored)
    {
        UnixDomainSocketEndPoint path = new(Path.Combine(_folder, "records"));
        using Socket listener = new(AddressFamily.Unix, SocketType.Seqpacket, ProtocolType.Unspecified), first = new(AddressFamily.Unix, SocketType.Seqpacket, ProtocolType.Unspecified);
        listener.Bind(path);
        listener.Listen(1);
        first.Connect(path);
        using Socket second = listener.Accept();
        return (Open(first), Open(second));

        INetTransport Open(Socket socket) => new FdOptions { Descriptor = (int)socket.Handle, IsVectored = isVectored }.Open();
    }

    private static int FreePort()
    {
        using Socket socket = new(SocketType.Dgram, ProtocolType.Udp);
        socket.Bind(new IPEndPoint(IPAddress.IPv6Any, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }
}
