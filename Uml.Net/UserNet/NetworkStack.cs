using System.Buffers.Binary;
using Uml.Net.Frames;
using Uml.Net.Packets;
using Uml.Net.Polling;
using Uml.Net.UserNet.Tcp;

namespace Uml.Net.UserNet;

/// <summary>
/// The network's side of the cable: takes frames of guests on the thread that sends them, and makes frames on the thread that receives them, so
/// that data of TCP goes between a guest's memory and a queue, or a socket, directly. All of it is guarded by <see cref="Gate"/>, sockets' events and
/// the clock's too; nothing in it waits.
/// </summary>
internal sealed class NetworkStack : IDisposable
{
    /// <summary>Frames of one flow before it is another's turn.</summary>
    private const int Turn = 4;

    private readonly NetSignal _receivable = new(continueInline: false);
    private readonly FrameOutbox _outbox = new();
    private readonly Queue<TcpFlow> _ready = new();
    private readonly ITimer _timer;
    private readonly long _start;
    private long _timerDue = long.MaxValue;
    private long _malformed;
    private uint _identification;

    public NetworkStack(UserNetworkOptions options)
    {
        Options = options;
        Addresses = new StackAddresses(options);
        _start = options.TimeProvider.GetTimestamp();
        Pool = new BlockPool(options.MaximumBuffers);
        Neighbours = new Neighbours(this);
        Dhcp = new DhcpServer(this);
        Icmp = new IcmpProtocol(this);
        Tcp = new TcpProtocol(this);
        Udp = new UdpProtocol(this);
        _timer = options.TimeProvider.CreateTimer(static stack => ((NetworkStack)stack!).OnTimer(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    public Lock Gate { get; } = new();

    public UserNetworkOptions Options { get; }

    public StackAddresses Addresses { get; }

    public BlockPool Pool { get; }

    public TimerQueue Timers { get; } = new();

    public Neighbours Neighbours { get; }

    public DhcpServer Dhcp { get; }

    public IcmpProtocol Icmp { get; }

    public TcpProtocol Tcp { get; }

    public UdpProtocol Udp { get; }

    public bool IsDisposed { get; private set; }

    /// <summary>What the card accepts.</summary>
    public NetOffloads Accepted { get; set; }

    /// <summary>Milliseconds since it began.</summary>
    public long Now => (long)Options.TimeProvider.GetElapsedTime(_start).TotalMilliseconds;

    /// <summary>Frames that were wrong.</summary>
    public long Malformed => Volatile.Read(ref _malformed);

    /// <summary>Frames that had no room.</summary>
    public long Lost => _outbox.Lost;

    public NetSignal Receivable => _receivable;

    public void CountMalformed() => _malformed++;

    /// <summary>What the fragments of a packet have in common.</summary>
    public uint NextIdentification() => ++_identification;

    /// <summary>Takes frames of guests.</summary>
    public void Input(ReadOnlySpan<NetFrame> frames)
    {
        lock (Gate)
        {
            if (IsDisposed)
            {
                return;
            }

            foreach (NetFrame frame in frames)
            {
                Input(frame);
            }

            SetTimer();
        }
    }

    /// <summary>Makes frames for guests.</summary>
    /// <returns>How many.</returns>
    public int Output(ReadOnlySpan<NetFrame> frames)
    {
        int count = 0;
        lock (Gate)
        {
            while (count < frames.Length && !_outbox.IsEmpty)
            {
                count += _outbox.MoveTo(frames[count]) ? 1 : 0;
            }

            while (count < frames.Length && _ready.TryPeek(out TcpFlow? flow))
            {
                int end = Math.Min(count + Turn, frames.Length);
                while (count < end && flow.TryProduce(frames[count]))
                {
                    count++;
                }

                _ready.Dequeue();
                if (count == end && flow.HasOutput)
                {
                    _ready.Enqueue(flow);
                }
                else
                {
                    flow.IsReady = false;
                }
            }

            SetTimer();
        }

        return count;
    }

    /// <summary>A flow has something to be sent.</summary>
    public void MakeReady(TcpFlow flow)
    {
        if (!flow.IsReady)
        {
            flow.IsReady = true;
            _ready.Enqueue(flow);
            _receivable.Set();
        }
    }

    /// <summary>Sends a whole frame.</summary>
    public void SendFrame(ReadOnlySpan<byte> frame)
    {
        if (_outbox.TryRent(frame.Length) is { } buffer)
        {
            frame.CopyTo(buffer);
            _outbox.Add(buffer, frame.Length);
            _receivable.Set();
        }
    }

    /// <summary>Sends a packet whose checksum is in it already; in fragments where it is longer than the MTU.</summary>
    public void SendPacket(InternetAddress source, InternetAddress destination, ulong mac, byte protocol, ReadOnlySpan<byte> payload, byte hops = 64)
    {
        int header = IpHeader.Length(source.IsIp4);
        int length = header + payload.Length;
        if (length - FrameLayout.EthernetLength > Options.Mtu)
        {
            PacketFragments.Send(this, source, destination, mac, protocol, payload);
            return;
        }

        if (_outbox.TryRent(length) is not { } buffer)
        {
            return;
        }

        IpHeader.WriteEthernet(buffer, mac, Addresses.Mac, source.IsIp4 ? IpHeader.Ip4Type : IpHeader.Ip6Type);
        IpHeader.Write(buffer.AsSpan(FrameLayout.EthernetLength), source, destination, protocol, payload.Length, hops);
        payload.CopyTo(buffer.AsSpan(header));
        _outbox.Add(buffer, length);
        _receivable.Set();
    }

    /// <summary>Sends a datagram of UDP.</summary>
    public void SendUdp(InternetEndPoint source, InternetEndPoint destination, ulong mac, ReadOnlySpan<byte> data)
    {
        Span<byte> datagram = Udp.Scratch.AsSpan(0, FrameLayout.UdpLength + data.Length);
        data.CopyTo(datagram[FrameLayout.UdpLength..]);
        BinaryPrimitives.WriteUInt16BigEndian(datagram, source.Port);
        BinaryPrimitives.WriteUInt16BigEndian(datagram[2..], destination.Port);
        BinaryPrimitives.WriteUInt16BigEndian(datagram[4..], (ushort)datagram.Length);
        BinaryPrimitives.WriteUInt16BigEndian(datagram[6..], 0);
        ulong sum = IpHeader.SumPseudoHeader(source.Address, destination.Address, FrameLayout.Udp, datagram.Length);
        ushort checksum = InternetChecksum.Complete(InternetChecksum.Add(datagram, sum));

        // Zero would say that there is none (RFC 768).
        System.Runtime.InteropServices.MemoryMarshal.Write(datagram[6..], checksum == 0 ? ushort.MaxValue : checksum);
        SendPacket(source.Address, destination.Address, mac, FrameLayout.Udp, datagram);
    }

    /// <summary>Sends a message of ICMPv6, whose checksum is made here.</summary>
    public void SendIcmp6(InternetAddress source, InternetAddress destination, ulong mac, Span<byte> message, byte hops = 64)
    {
        message.Slice(2, sizeof(ushort)).Clear();
        InternetChecksum.Write(message[2..], InternetChecksum.Add(message, IpHeader.SumPseudoHeader(source, destination, IpHeader.Icmp6, message.Length)));
        SendPacket(source, destination, mac, IpHeader.Icmp6, message, hops);
    }

    /// <summary>Sees to it that the clock calls for what is due next; at the end of all that may have set a timer.</summary>
    public void SetTimer()
    {
        long next = Timers.Next;
        if (next >= _timerDue || IsDisposed)
        {
            return;
        }

        _timerDue = next;
        _ = _timer.Change(TimeSpan.FromMilliseconds(Math.Max(next - Now, 1)), Timeout.InfiniteTimeSpan);
    }

    public void Dispose()
    {
        lock (Gate)
        {
            if (IsDisposed)
            {
                return;
            }

            IsDisposed = true;
            Tcp.Dispose();
            Udp.Dispose();
            _receivable.Close();
        }

        _timer.Dispose();
    }

    private void OnTimer()
    {
        lock (Gate)
        {
            if (!IsDisposed)
            {
                _timerDue = long.MaxValue;
                Timers.Run(Now);
                SetTimer();
            }
        }
    }

    private void Input(NetFrame frame)
    {
        const byte groupBit = 1;
        Span<byte> head = stackalloc byte[FrameLayout.HeadLength];
        head = head[..frame.CopyTo(head)];
        if (head.Length < FrameLayout.EthernetLength)
        {
            CountMalformed();
            return;
        }

        // A switch tells everybody when it does not know whom.
        if (IpHeader.ReadMac(head) != Addresses.Mac && (head[0] & groupBit) == 0)
        {
            return;
        }

        switch (BinaryPrimitives.ReadUInt16BigEndian(head[(2 * IpHeader.MacLength)..]))
        {
            case IpHeader.ArpType:
                Neighbours.ReceiveArp(head);
                break;
            case IpHeader.Ip4Type or IpHeader.Ip6Type:
                if (InboundPacket.TryRead(frame, head, out InboundPacket packet))
                {
                    Input(packet);
                }
                else
                {
                    CountMalformed();
                }

                break;
        }
    }

    private void Input(in InboundPacket packet)
    {
        if (packet.IsFragment)
        {
            CountMalformed();
            return;
        }

        bool isGuest = Addresses.IsGuest(packet.Source);
        if (isGuest)
        {
            Neighbours.Learn(packet.Source, packet.Mac);
        }
        else if (!packet.Source.IsUnspecified)
        {
            // Nobody on this network has it.
            return;
        }

        switch (packet.Protocol)
        {
            case FrameLayout.Tcp when isGuest && !packet.Destination.IsMulticast:
                Tcp.Receive(packet);
                break;
            case FrameLayout.Udp:
                Udp.Receive(packet);
                break;
            case IpHeader.Icmp4 when packet.Source.IsIp4 && isGuest:
            case IpHeader.Icmp6 when !packet.Source.IsIp4:
                Icmp.Receive(packet);
                break;
        }
    }
}
