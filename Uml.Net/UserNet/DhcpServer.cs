using Uml.Net.Packets;
using Uml.Net.UserNet.Dhcp;

namespace Uml.Net.UserNet;

/// <summary>Leases addresses to guests (RFC 2131) and tells them of the network.</summary>
internal sealed class DhcpServer
{
    /// <summary>How long an offer stands.</summary>
    private const int OfferTime = 60_000;

    private const byte MaskOption = 1, RouterOption = 3, NameServerOption = 6, HostNameOption = 12, DomainOption = 15, MtuOption = 26, BroadcastOption = 28,
        LeaseTimeOption = 51, ServerOption = 54, RenewalOption = 58, RebindingOption = 59;

    private readonly NetworkStack _stack;
    private readonly LeaseTable _leases;
    private int _declined;

    public DhcpServer(NetworkStack stack)
    {
        _stack = stack;
        _leases = new LeaseTable(stack.Addresses.FirstLease, stack.Addresses.LastLease);
        foreach (UserNetworkGuest guest in stack.Options.Guests)
        {
            _leases.Reserve(IpHeader.ReadMac(guest.Mac.GetAddressBytes()), guest.Address is { } address ? InternetAddress.From(address).Value4 : null, guest.Name);
        }
    }

    public LeaseTable Leases => _leases;

    /// <summary>Takes a message of a client.</summary>
    public void Receive(ReadOnlySpan<byte> bytes)
    {
        if (!DhcpMessage.TryRead(bytes, out DhcpMessage message))
        {
            _stack.CountMalformed();
            return;
        }

        switch (message.Kind)
        {
            case DhcpKind.Discover:
                Offer(message);
                break;
            case DhcpKind.Request when message.Server == 0 || message.Server == _stack.Addresses.Gateway.Value4:
                Grant(message);
                break;
            case DhcpKind.Inform:
                Answer(message, DhcpKind.Ack, lease: null);
                break;
            case DhcpKind.Release when _leases.Find(message.Mac) is { } lease && lease.Address == message.ClientAddress:
                lease.Ends = Math.Min(lease.Ends, _stack.Now);
                break;
            case DhcpKind.Decline when _leases.Find(message.Mac) is { IsReserved: false } lease && lease.Address == message.RequestedAddress:
                Decline(lease);
                break;
        }
    }

    private void Offer(in DhcpMessage message)
    {
        if (_leases.Get(message.Mac, message.RequestedAddress, _stack.Now) is { } lease)
        {
            lease.Ends = Math.Max(lease.Ends, _stack.Now + OfferTime);
            Answer(message, DhcpKind.Offer, lease);
        }
    }

    private void Grant(in DhcpMessage message)
    {
        uint wanted = message.RequestedAddress != 0 ? message.RequestedAddress : message.ClientAddress;
        Lease? lease = _leases.Get(message.Mac, wanted, _stack.Now);
        if (lease is null || lease.Address != wanted)
        {
            // Its address is another's, or of another network: it has to begin anew (RFC 2131, 4.3.2).
            Answer(message, DhcpKind.Nak, lease: null);
            return;
        }

        lease.Ends = _stack.Now + (long)_stack.Options.LeaseTime.TotalMilliseconds;
        if (!lease.IsNamed && message.HostName is { } name && Dns.DnsName.IsHostName(name) && !name.Contains('.', StringComparison.Ordinal)
            && (_leases.FindName(name, _stack.Now) is not { } other || other == lease))
        {
            lease.Name = name;
        }

        _stack.Neighbours.Learn(new InternetAddress(lease.Address), message.Mac);
        Answer(message, DhcpKind.Ack, lease);
    }

    /// <summary>Somebody else uses the address: nobody gets it for an hour.</summary>
    private void Decline(Lease lease)
    {
        const long hour = 3_600_000;
        _leases.Remove(lease);

        // Held by a card that there is not: the group bit is set.
        const ulong nobody = 0x0100_0000_0000;
        if (_leases.Get(nobody | (uint)_declined++, lease.Address, _stack.Now) is { } held)
        {
            held.Ends = _stack.Now + hour;
        }
    }

    private void Answer(in DhcpMessage message, DhcpKind kind, Lease? lease)
    {
        InternetAddress gateway = _stack.Addresses.Gateway;
        DhcpWriter writer = new(stackalloc byte[DhcpWriter.MaximumLength], message, kind, lease?.Address ?? 0);
        writer.Add(ServerOption, gateway.Value4);
        if (kind != DhcpKind.Nak)
        {
            WriteOptions(ref writer, lease);
        }

        // To whom has an address, or can take the one it gets before it has it (RFC 2131, 4.1).
        bool isBroadcast = kind == DhcpKind.Nak || (message.WantsBroadcast && message.ClientAddress == 0);
        InternetAddress destination = isBroadcast ? new InternetAddress(uint.MaxValue)
            : new InternetAddress(message.ClientAddress != 0 ? message.ClientAddress : lease?.Address ?? uint.MaxValue);
        _stack.SendUdp(
            new InternetEndPoint(gateway, DhcpMessage.ServerPort),
            new InternetEndPoint(destination, DhcpMessage.ClientPort),
            destination.IsMulticast ? ulong.MaxValue >> 16 : message.Mac,
            writer.Finish());
    }

    private void WriteOptions(ref DhcpWriter writer, Lease? lease)
    {
        writer.Add(MaskOption, _stack.Addresses.Mask);
        writer.Add(RouterOption, _stack.Addresses.Gateway.Value4);
        writer.Add(NameServerOption, _stack.Addresses.NameServer.Value4);
        writer.Add(BroadcastOption, _stack.Addresses.Broadcast.Value4);
        writer.Add(MtuOption, (ushort)_stack.Options.Mtu);
        writer.Add(DomainOption, _stack.Options.Domain);
        if (lease is null)
        {
            return;
        }

        uint seconds = (uint)Math.Min(_stack.Options.LeaseTime.TotalSeconds, uint.MaxValue);
        writer.Add(LeaseTimeOption, seconds);
        writer.Add(RenewalOption, seconds / 2);
        writer.Add(RebindingOption, (uint)(seconds * 7L / 8));
        if (lease.Name is { } name)
        {
            writer.Add(HostNameOption, name);
        }
    }
}
