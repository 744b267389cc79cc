using System.Buffers.Binary;
using System.Net;
using System.Threading.Channels;
using Uml.Net.Frames;
using Uml.Net.Packets;
using Uml.Net.Tests.Packets;
using Uml.Net.UserNet;
using Uml.Net.UserNet.Tcp;

namespace Uml.Net.Tests.UserNet;

/// <summary>A guest without a machine: sends frames to a network, and takes what comes back. Its TCP is the library's, whose other tests are elsewhere.</summary>
internal sealed class TestGuest : IAsyncDisposable
{
    public const ulong BroadcastMac = 0xFFFF_FFFF_FFFF;

    private readonly Lock _lock = new();
    private readonly Dictionary<(InternetEndPoint Local, InternetEndPoint Remote), GuestTcp> _tcp = [];
    private readonly HashSet<ushort> _listening = [];
    private readonly Channel<byte[]> _frames = Channel.CreateUnbounded<byte[]>();
    private readonly Channel<GuestTcp> _accepted = Channel.CreateUnbounded<GuestTcp>();
    private readonly CancellationTokenSource _stop = new();
    private readonly long _start = Environment.TickCount64;
    private readonly Task _pump;
    private readonly Task _clock;
    private ulong _gateway;
    private ushort _port = 40000;

    public TestGuest(UserNetwork network, string address = "10.0.2.15", ulong mac = 0x0200_0000_0001, bool isLarge = false, bool answersArp = true)
    {
        (Network, Address, Mac, IsLarge, AnswersArp) = (network, InternetAddress.From(IPAddress.Parse(address)), mac, isLarge, answersArp);
        Settings = new TcpSettings { Pool = new BlockPool(1 << 30), SegmentSize = network.Options.Mtu - (Address.IsIp4 ? 40 : 60) };
        if (isLarge)
        {
            network.AcceptOffloads(NetOffloads.Checksum | NetOffloads.Tcp4 | NetOffloads.Tcp6);
        }

        _pump = Task.Run(PumpAsync);
        _clock = Task.Run(TickAsync);
    }

    public UserNetwork Network { get; }

    public InternetAddress Address { get; }

    public ulong Mac { get; }

    public bool IsLarge { get; }

    public bool AnswersArp { get; }

    public TcpSettings Settings { get; }

    public long Now => Environment.TickCount64 - _start;

    /// <summary>
    /// Frames of connections, and bytes that the network has allocated in the calls that moved them; without blocks of queues that become longer
    /// than ever, which depends on the host's other work.
    /// </summary>
    public (long Frames, long Bytes) Allocated { get; private set; }

    /// <summary>The longest frame that came.</summary>
    public int Longest { get; private set; }

    public int Connections
    {
        get
        {
            lock (_lock)
            {
                return _tcp.Count;
            }
        }
    }

    public void Send(params byte[][] frames) => Assert.That(Network.Send([.. frames.Select(frame => new NetFrame(frame))]), Is.EqualTo(frames.Length));

    /// <summary>The next frame that is none of a connection and matches.</summary>
    public async Task<byte[]> NextAsync(Func<byte[], bool>? matches = null, int seconds = 10)
    {
        using CancellationTokenSource timeout = new(TimeSpan.FromSeconds(seconds));
        while (true)
        {
            byte[] frame = await _frames.Reader.ReadAsync(timeout.Token);
            if (matches?.Invoke(frame) != false)
            {
                return frame;
            }
        }
    }

    public bool HasFrames => _frames.Reader.TryPeek(out _);

    /// <summary>Learns the network's address of Ethernet, by ARP or neighbour discovery.</summary>
    public async Task<ulong> FindGatewayAsync()
    {
        if (Address.IsIp4)
        {
            Send(Arp(1, "10.0.2.2"));
            byte[] reply = await NextAsync(frame => frame[12] == 8 && frame[13] == 6 && frame[21] == 2);
            _gateway = IpHeader.ReadMac(reply.AsSpan(22));
        }
        else
        {
            Send(Ip("fd55:4d4c::2", IpHeader.Icmp6, Icmp6([135, 0, 0, 0, 0, 0, 0, 0, .. IPAddress.Parse("fd55:4d4c::2").GetAddressBytes(), 1, 1, .. MacBytes(Mac)], "fd55:4d4c::2"), hops: 255));
            byte[] reply = await NextAsync(frame => frame[20] == 58 && frame[54] == 136);
            _gateway = IpHeader.ReadMac(reply.AsSpan(80));
        }

        return _gateway;
    }

    public byte[] Arp(byte operation, string target) =>
    [
        .. MacBytes(BroadcastMac), .. MacBytes(Mac), 8, 6, 0, 1, 8, 0, 6, 4, 0, operation, .. MacBytes(Mac),
        .. Address.ToIPAddress().GetAddressBytes(), 0, 0, 0, 0, 0, 0, .. IPAddress.Parse(target).GetAddressBytes(),
    ];

    public static byte[] MacBytes(ulong mac)
    {
        byte[] bytes = new byte[6];
        IpHeader.WriteMac(bytes, mac);
        return bytes;
    }

    /// <summary>A frame with a packet of IP.</summary>
    public byte[] Ip(string destination, byte protocol, byte[] payload, ulong? mac = null, string? source = null, byte hops = 64)
    {
        InternetAddress to = InternetAddress.From(IPAddress.Parse(destination)), from = source is null ? Address : InternetAddress.From(IPAddress.Parse(source));
        int header = IpHeader.Length(to.IsIp4);
        byte[] frame = new byte[header + payload.Length];
        IpHeader.WriteEthernet(frame, mac ?? (_gateway == 0 ? BroadcastMac : _gateway), Mac, to.IsIp4 ? IpHeader.Ip4Type : IpHeader.Ip6Type);
        IpHeader.Write(frame.AsSpan(14), from, to, protocol, payload.Length, hops);
        payload.CopyTo(frame, header);
        return frame;
    }

    /// <summary>A message of ICMPv6 with its checksum.</summary>
    public byte[] Icmp6(byte[] message, string destination, string? source = null)
    {
        InternetAddress to = InternetAddress.From(IPAddress.Parse(destination)), from = source is null ? Address : InternetAddress.From(IPAddress.Parse(source));
        InternetChecksum.Write(message.AsSpan(2), InternetChecksum.Add(message, IpHeader.SumPseudoHeader(from, to, IpHeader.Icmp6, message.Length)));
        return message;
    }

    public byte[] Udp(string destination, int port, byte[] data, int sourcePort = 5000, ulong? mac = null, string? source = null)
    {
        byte[] udp = new byte[8 + data.Length];
        BinaryPrimitives.WriteUInt16BigEndian(udp, (ushort)sourcePort);
        BinaryPrimitives.WriteUInt16BigEndian(udp.AsSpan(2), (ushort)port);
        BinaryPrimitives.WriteUInt16BigEndian(udp.AsSpan(4), (ushort)udp.Length);
        data.CopyTo(udp, 8);
        InternetAddress to = InternetAddress.From(IPAddress.Parse(destination)), from = source is null ? Address : InternetAddress.From(IPAddress.Parse(source));
        InternetChecksum.Write(udp.AsSpan(6), InternetChecksum.Add(udp, IpHeader.SumPseudoHeader(from, to, FrameLayout.Udp, udp.Length)));
        return Ip(destination, FrameLayout.Udp, udp, mac, source);
    }

    /// <summary>The next datagram of UDP, which is complete.</summary>
    public async Task<(int From, byte[] Data, byte[] Frame)> NextUdpAsync(int port = 5000)
    {
        int header = IpHeader.Length(Address.IsIp4);
        byte[] frame = await NextAsync(frame => frame[Address.IsIp4 ? 23 : 20] == FrameLayout.Udp && BinaryPrimitives.ReadUInt16BigEndian(frame.AsSpan(header + 2)) == port);
        Packet.AssertIsComplete(frame);
        return (BinaryPrimitives.ReadUInt16BigEndian(frame.AsSpan(header)), frame[(header + 8)..], frame);
    }

    public GuestTcp Connect(string address, int port)
    {
        lock (_lock)
        {
            GuestTcp tcp = new(this, new InternetEndPoint(Address, _port++), new InternetEndPoint(InternetAddress.From(IPAddress.Parse(address)), (ushort)port));
            _tcp.Add((tcp.Local, tcp.Remote), tcp);
            tcp.Tcp.Connect(Now);
            Flush();
            return tcp;
        }
    }

    public void Listen(int port)
    {
        lock (_lock)
        {
            _listening.Add((ushort)port);
        }
    }

    public async Task<GuestTcp> AcceptAsync()
    {
        using CancellationTokenSource timeout = new(TimeSpan.FromSeconds(10));
        return await _accepted.Reader.ReadAsync(timeout.Token);
    }

    /// <summary>Does something to connections, and sends what comes of it.</summary>
    public void Do(Action action)
    {
        lock (_lock)
        {
            action();
            Flush();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _pump;
        await _clock;
        _stop.Dispose();
    }

    private async Task PumpAsync()
    {
        NetFrame[] room = [.. Enumerable.Range(0, 64).Select(_ => new NetFrame(new byte[IsLarge ? 65550 : Network.Options.Mtu + 14]))];
        try
        {
            while (await Network.WaitToReceiveAsync(_stop.Token))
            {
                for (int count = room.Length; count == room.Length;)
                {
                    long before = GC.GetAllocatedBytesForCurrentThread();
                    count = Network.Receive(room);
                    long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
                    lock (_lock)
                    {
                        CountAllocated(count, allocated);
                        for (int i = 0; i < count; i++)
                        {
                            Take(room[i]);
                            room[i].Length = room[i].Capacity;
                        }

                        Flush();
                    }
                }
            }
        }
        catch (OperationCanceledException)
        {
        }
    }

    private async Task TickAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            await Task.Delay(10);
            Do(() =>
            {
                foreach (GuestTcp tcp in _tcp.Values.ToArray())
                {
                    if (tcp.Tcp.Deadline <= Now)
                    {
                        tcp.Tcp.OnTime(Now);
                    }

                    if (tcp.IsGone)
                    {
                        _tcp.Remove((tcp.Local, tcp.Remote));
                    }
                }
            });
        }
    }

    private void Take(NetFrame frame)
    {
        Longest = Math.Max(Longest, frame.Length);
        byte[] bytes = Packet.ToArray(frame);
        if (AnswersArp && bytes[13] == 6 && bytes[21] == 1 && InternetAddress.Read4(bytes.AsSpan(38)) == Address)
        {
            Send(Arp(2, "10.0.2.2"));
            return;
        }

        if (InboundPacket.TryRead(frame, bytes.AsSpan(0, Math.Min(bytes.Length, FrameLayout.HeadLength)), out InboundPacket packet) && packet.Protocol == FrameLayout.Tcp
            && TcpHeader.TryRead(packet.Head, out TcpHeader header, out int length))
        {
            if (!IsLarge)
            {
                Packet.AssertIsComplete(bytes);
            }

            (InternetEndPoint, InternetEndPoint) key = (new InternetEndPoint(packet.Destination, header.Destination), new InternetEndPoint(packet.Source, header.Source));
            if (!_tcp.TryGetValue(key, out GuestTcp? tcp) && header.Flags == TcpFlags.Syn && _listening.Contains(header.Destination))
            {
                tcp = new GuestTcp(this, key.Item1, key.Item2);
                _tcp.Add(key, tcp);
                tcp.Tcp.Open(header, Now);
                tcp.Tcp.Accept(Now);
                _accepted.Writer.TryWrite(tcp);
            }
            else if (tcp is not null)
            {
                tcp.Tcp.Receive(header, packet.Data(length), Now);
                return;
            }
            else if (header.Flags == TcpFlags.Syn)
            {
                TcpHeader reset = new() { Flags = TcpFlags.Reset | TcpFlags.Ack, Acknowledgment = header.Sequence + 1 };
                SendTcp(key.Item1, key.Item2, reset, []);
            }
        }

        _frames.Writer.TryWrite(bytes);
    }

    private void Flush()
    {
        foreach (GuestTcp tcp in _tcp.Values)
        {
            while (tcp.Tcp.TryMake(IsLarge ? 65000 : Network.Options.Mtu - (Address.IsIp4 ? 20 : 40), Now, out TcpOutput output))
            {
                byte[] data = new byte[output.DataLength];
                for (int done = 0; done < data.Length;)
                {
                    ReadOnlySpan<byte> piece = tcp.Tcp.Unacknowledged.Read(output.DataOffset + done, data.Length - done).Span;
                    piece.CopyTo(data.AsSpan(done));
                    done += piece.Length;
                }

                SendTcp(tcp.Local, tcp.Remote, output.Header, data, output.SegmentSize);
            }
        }
    }

    private void SendTcp(InternetEndPoint local, InternetEndPoint remote, TcpHeader header, byte[] data, int size = 0)
    {
        byte[] bytes = new byte[TcpHeader.MaximumLength];
        (header.Source, header.Destination) = (local.Port, remote.Port);
        bytes = [.. bytes[..header.Write(bytes)], .. data];
        bool isCut = IsLarge && data.Length > size;
        if (!isCut)
        {
            InternetChecksum.Write(bytes.AsSpan(16), InternetChecksum.Add(bytes, IpHeader.SumPseudoHeader(local.Address, remote.Address, FrameLayout.Tcp, bytes.Length)));
        }

        // In pieces like those of a guest: headers, a part of a page, pages, and large ones.
        int[] pieces = data.Length > 30_000 ? [14, 100, 4096, 4096, 17_000, 1000] : data.Length > 1000 ? [14, 200, 300] : [14, 30];
        NetFrame frame = Packet.InPieces(Ip(remote.Address.ToString(), FrameLayout.Tcp, bytes), pieces);
        frame.Offload = isCut
            ? new NetOffload { Flags = NetOffload.NeedsChecksum, Segmentation = local.Address.IsIp4 ? NetSegmentation.Tcp4 : NetSegmentation.Tcp6, SegmentSize = (ushort)size }
            : default;
        NetFrame[] frames = [frame];
        long before = GC.GetAllocatedBytesForCurrentThread();
        Network.Send(frames);
        CountAllocated(1, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    private void CountAllocated(int frames, long bytes) =>
        Allocated = (Allocated.Frames + frames, Allocated.Bytes + (bytes < BlockPool.BlockSize ? bytes : 0));
}
