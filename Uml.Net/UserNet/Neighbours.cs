using System.Buffers.Binary;
using Uml.Net.Packets;

namespace Uml.Net.UserNet;

/// <summary>Who has which address on the network: ARP (RFC 826), neighbour discovery and router advertisements (RFC 4861, RFC 8106).</summary>
internal sealed class Neighbours(NetworkStack stack)
{
    /// <summary>Addresses that are remembered. A limit of ours; a guest can make up as many as it likes.</summary>
    private const int MaximumEntries = 4096;

    private const int ArpLength = 28;
    private const byte RouterSolicitation = 133, RouterAdvertisement = 134, Solicitation = 135, Advertisement = 136;
    private const byte MaximumHops = 255;
    private const int SolicitationLength = 24, LinkAddressOptionLength = 8;

    private static InternetAddress AllNodes => new(0xFF02_0000_0000_0000, 1);

    private readonly Dictionary<InternetAddress, ulong> _entries = [];
    private readonly HashSet<InternetAddress> _virtual = [];
    private readonly HashSet<TcpFlow> _waiting = [];

    public bool TryFind(InternetAddress address, out ulong mac) => _entries.TryGetValue(address, out mac);

    /// <summary>Addresses that the network answers for besides its own: those that the host program listens at.</summary>
    public HashSet<InternetAddress> Virtual => _virtual;

    /// <summary>The addresses of IPv6 that a card uses and that are not mere link-local ones.</summary>
    public IEnumerable<InternetAddress> FindIp6(ulong mac) =>
        _entries.Where(entry => entry.Value == mac && !entry.Key.IsIp4 && !entry.Key.IsLinkLocal).Select(entry => entry.Key);

    /// <summary>A guest has used an address.</summary>
    public void Learn(InternetAddress address, ulong mac)
    {
        if (!stack.Addresses.IsGuest(address) || (_entries.TryGetValue(address, out ulong known) && known == mac))
        {
            return;
        }

        if (_entries.Count >= MaximumEntries && !_entries.ContainsKey(address))
        {
            _entries.Remove(_entries.Keys.First());
        }

        _entries[address] = mac;
        if (_waiting.Count != 0)
        {
            EndWaits(address);
        }
    }

    /// <summary>Asks for the address of Ethernet of a guest; the flow goes on when it is known. It asks again as often as it has something to send.</summary>
    public void Ask(TcpFlow flow)
    {
        _waiting.Add(flow);
        Ask(flow.Guest.Address);
    }

    public void Forget(TcpFlow flow) => _waiting.Remove(flow);

    public void Ask(InternetAddress address)
    {
        if (address.IsIp4)
        {
            SendArp(operation: 1, ulong.MaxValue >> 16, stack.Addresses.Gateway, 0, address);
            return;
        }

        // RFC 4291, 2.7.1; RFC 2464, 7.
        InternetAddress group = new(0xFF02_0000_0000_0000, 0x1_FF00_0000 | (address.Low & 0xFF_FFFF));
        Span<byte> message = stackalloc byte[SolicitationLength + LinkAddressOptionLength];
        message.Clear();
        message[0] = Solicitation;
        address.Write(message[8..]);
        WriteLinkAddress(message[SolicitationLength..], isTarget: false);
        stack.SendIcmp6(stack.Addresses.LinkLocal, group, 0x3333_0000_0000UL | (uint)group.Low, message, MaximumHops);
    }

    public void ReceiveArp(ReadOnlySpan<byte> head)
    {
        const ulong ethernetAndIp4 = 0x0001_0800_0604;
        ReadOnlySpan<byte> arp = head[FrameLayout.EthernetLength..];
        if (arp.Length < ArpLength || BinaryPrimitives.ReadUInt64BigEndian(arp) >> 16 != ethernetAndIp4)
        {
            stack.CountMalformed();
            return;
        }

        ulong mac = IpHeader.ReadMac(arp[8..]);
        InternetAddress sender = InternetAddress.Read4(arp[14..]), target = InternetAddress.Read4(arp[24..]);
        Learn(sender, mac);
        if (arp[7] == 1 && Answers(target) && target != sender)
        {
            SendArp(operation: 2, mac, target, mac, sender);
        }
    }

    /// <summary>Takes messages of neighbour discovery.</summary>
    /// <returns>False when it is none.</returns>
    public bool ReceiveIcmp6(in InboundPacket packet)
    {
        ReadOnlySpan<byte> message = packet.Head;
        if (message.Length < 8 || message[0] is < RouterSolicitation or > Advertisement)
        {
            return false;
        }

        // Only from the link itself (RFC 4861, 6.1.1 and 7.1.1).
        if (packet.Hops != MaximumHops || message[1] != 0)
        {
            stack.CountMalformed();
        }
        else if (message[0] == RouterSolicitation)
        {
            SendRouterAdvertisement(packet.Source.IsUnspecified ? AllNodes : packet.Source, packet.Mac);
        }
        else if (message.Length >= SolicitationLength)
        {
            InternetAddress target = InternetAddress.Read6(message[8..]);
            if (target.IsIp4)
            {
                stack.CountMalformed();
            }
            else if (message[0] == Advertisement)
            {
                Learn(target, packet.Mac);
            }
            else if (message[0] == Solicitation && Answers(target))
            {
                SendAdvertisement(target, packet.Source, packet.Mac);
            }
        }

        return true;
    }

    private void EndWaits(InternetAddress address) => _waiting.RemoveWhere(flow =>
    {
        bool isFound = flow.Guest.Address == address;
        if (isFound)
        {
            stack.MakeReady(flow);
        }

        return isFound;
    });

    private bool Answers(InternetAddress address) => stack.Addresses.IsOwn(address) || _virtual.Contains(address);

    private void SendArp(ushort operation, ulong destination, InternetAddress sender, ulong targetMac, InternetAddress target)
    {
        Span<byte> frame = stackalloc byte[FrameLayout.EthernetLength + ArpLength];
        IpHeader.WriteEthernet(frame, destination, stack.Addresses.Mac, IpHeader.ArpType);
        Span<byte> arp = frame[FrameLayout.EthernetLength..];
        BinaryPrimitives.WriteUInt64BigEndian(arp, (0x0001_0800_0604UL << 16) | operation);
        IpHeader.WriteMac(arp[8..], stack.Addresses.Mac);
        sender.Write(arp[14..]);
        IpHeader.WriteMac(arp[18..], targetMac);
        target.Write(arp[24..]);
        stack.SendFrame(frame);
    }

    private void SendAdvertisement(InternetAddress target, InternetAddress asker, ulong mac)
    {
        const byte isRouter = 0x80, isSolicited = 0x40, isOverride = 0x20;
        Span<byte> message = stackalloc byte[SolicitationLength + LinkAddressOptionLength];
        message.Clear();
        message[0] = Advertisement;
        bool isProbe = asker.IsUnspecified;
        message[4] = (byte)(isRouter | isOverride | (isProbe ? 0 : isSolicited));
        target.Write(message[8..]);
        WriteLinkAddress(message[SolicitationLength..], isTarget: true);
        stack.SendIcmp6(target, isProbe ? AllNodes : asker, mac, message, MaximumHops);
    }

    private void SendRouterAdvertisement(InternetAddress destination, ulong mac)
    {
        const int mtuOption = 24, prefixOption = 32, serverOption = 64, length = 88;
        const uint lifetime = 86_400;
        const ushort routerLifetime = 9000;
        Span<byte> message = stackalloc byte[length];
        message.Clear();
        (message[0], message[4]) = (RouterAdvertisement, 64);
        BinaryPrimitives.WriteUInt16BigEndian(message[6..], routerLifetime);
        WriteLinkAddress(message[16..], isTarget: false);
        (message[mtuOption], message[mtuOption + 1]) = (5, 1);
        BinaryPrimitives.WriteUInt32BigEndian(message[(mtuOption + 4)..], (uint)stack.Options.Mtu);

        // On the link, and to make addresses of (RFC 4861, 4.6.2).
        (message[prefixOption], message[prefixOption + 1], message[prefixOption + 2], message[prefixOption + 3]) = (3, 4, 64, 0xC0);
        BinaryPrimitives.WriteUInt32BigEndian(message[(prefixOption + 4)..], lifetime);
        BinaryPrimitives.WriteUInt32BigEndian(message[(prefixOption + 8)..], lifetime);
        stack.Addresses.Network6.Write(message[(prefixOption + 16)..]);
        Span<byte> server = message[serverOption..];
        (server[0], server[1]) = (25, 3);
        BinaryPrimitives.WriteUInt32BigEndian(server[4..], lifetime);
        stack.Addresses.NameServer6.Write(server[8..]);
        stack.SendIcmp6(stack.Addresses.LinkLocal, destination, mac, message, MaximumHops);
    }

    private void WriteLinkAddress(Span<byte> option, bool isTarget)
    {
        (option[0], option[1]) = (isTarget ? (byte)2 : (byte)1, 1);
        IpHeader.WriteMac(option[2..], stack.Addresses.Mac);
    }
}
