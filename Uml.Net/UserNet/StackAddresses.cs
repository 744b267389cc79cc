using System.Security.Cryptography;
using Uml.Net.Packets;

namespace Uml.Net.UserNet;

/// <summary>Addresses of the network itself, and which are guests'.</summary>
internal sealed class StackAddresses
{
    private const uint GatewayNumber = 2, NameServerNumber = 3, FirstLeaseNumber = 15;

    private readonly uint _mask;
    private readonly uint _network;
    private readonly bool _hasIp6;

    public StackAddresses(UserNetworkOptions options)
    {
        _mask = uint.MaxValue << (32 - options.Network.PrefixLength);
        _network = InternetAddress.From(options.Network.BaseAddress).Value4 & _mask;
        Gateway = new InternetAddress(_network + GatewayNumber);
        NameServer = new InternetAddress(_network + NameServerNumber);
        FirstLease = _network + FirstLeaseNumber;
        LastLease = (_network | ~_mask) - 1;
        _hasIp6 = options.Network6 is not null;
        Network6 = options.Network6 is { } network ? InternetAddress.From(network.BaseAddress) with { Low = 0 } : default;
        Gateway6 = Network6 with { Low = GatewayNumber };
        NameServer6 = Network6 with { Low = NameServerNumber };

        // Locally administered (IEEE 802c), and another for each network, as two may be connected to one switch.
        Span<byte> random = stackalloc byte[sizeof(uint)];
        RandomNumberGenerator.Fill(random);
        Mac = 0x5255_0000_0000UL | BitConverter.ToUInt32(random);
        LinkLocal = new InternetAddress(0xFE80_0000_0000_0000, ((Mac & 0xFFFF_FF00_0000) << 16) | 0xFF_FE00_0000 | (Mac & 0xFF_FFFF));
        LinkLocal = LinkLocal with { Low = LinkLocal.Low ^ 0x0200_0000_0000_0000 };
    }

    /// <summary>The network's address of Ethernet.</summary>
    public ulong Mac { get; }

    public InternetAddress Gateway { get; }

    public InternetAddress NameServer { get; }

    public InternetAddress Gateway6 { get; }

    public InternetAddress NameServer6 { get; }

    /// <summary>The router's address (RFC 4861, 4.2): made of that of Ethernet (RFC 4291, appendix A).</summary>
    public InternetAddress LinkLocal { get; }

    /// <summary>The network of IPv6, of 64 bits.</summary>
    public InternetAddress Network6 { get; }

    public uint FirstLease { get; }

    public uint LastLease { get; }

    public uint Mask => _mask;

    public InternetAddress Broadcast => new(_network | ~_mask);

    public bool HasIp6 => _hasIp6;

    /// <summary>Whether an address is the network's own.</summary>
    public bool IsOwn(InternetAddress address) => address.IsIp4
        ? address == Gateway || address == NameServer
        : _hasIp6 && (address == Gateway6 || address == NameServer6 || address == LinkLocal);

    /// <summary>Whether an address is the gateway's, which stands for the host.</summary>
    public bool IsHost(InternetAddress address) => address == Gateway || (_hasIp6 && address == Gateway6);

    public bool IsNameServer(InternetAddress address) => address == NameServer || (_hasIp6 && address == NameServer6);

    /// <summary>Whether an address is of the network, the network's own and those of nobody included.</summary>
    public bool IsLocal(InternetAddress address) => address.IsIp4
        ? (address.Value4 & _mask) == _network
        : _hasIp6 && (address.High == Network6.High || address.IsLinkLocal);

    /// <summary>Whether a guest may have an address.</summary>
    public bool IsGuest(InternetAddress address) => IsLocal(address) && !IsOwn(address)
        && (!address.IsIp4 || (address.Value4 != _network && address != Broadcast));
}
