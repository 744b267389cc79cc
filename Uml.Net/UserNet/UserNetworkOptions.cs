using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using Uml.Net.Frames;
using Uml.Net.Packets;

namespace Uml.Net.UserNet;

/// <summary>What a user-mode network is like.</summary>
public sealed record UserNetworkOptions
{
    private const int MinimumMtu = 1280, MaximumConnections = 1 << 20;
    private const long MinimumBuffers = 1 << 20;

    /// <summary>What messages call it.</summary>
    public string Name { get; init; } = "user";

    /// <summary>Bytes of a packet, 1,280 to 65,520. A guest that asks by DHCP, or hears router advertisements, learns it.</summary>
    public int Mtu { get; init; } = 1500;

    /// <summary>
    /// The network's addresses, of which the second is the gateway's and the host's, the third the name server's, and the fifteenth to the last but one
    /// are leased; at least 32.
    /// </summary>
    public IPNetwork Network { get; init; } = new(new IPAddress([10, 0, 2, 0]), 24);

    /// <summary>The network's addresses of IPv6, which are 64 bits long; null for no IPv6. The gateway and the name server have ::2 and ::3 of it.</summary>
    public IPNetwork? Network6 { get; init; } = new(IPAddress.Parse("fd55:4d4c::"), 64);

    /// <summary>The domain that guests are in, and <see cref="HostName"/> is.</summary>
    public string Domain { get; init; } = "uml.internal";

    /// <summary>The name of the host, which stands for the gateway's address.</summary>
    public string HostName { get; init; } = "host";

    /// <summary>Where names are asked for that the network does not know; null for what the host asks (/etc/resolv.conf); empty for nobody.</summary>
    public IReadOnlyList<IPEndPoint>? NameServers { get; init; }

    /// <summary>Guests that get an address or a name of their own; others get any address, and have the name that they call themselves.</summary>
    public IReadOnlyList<UserNetworkGuest> Guests { get; init; } = [];

    /// <summary>How long an address is leased, 2 minutes or more.</summary>
    public TimeSpan LeaseTime { get; init; } = TimeSpan.FromDays(1);

    /// <summary>What guests may reach.</summary>
    public UserNetworkPolicy Policy { get; init; } = new();

    /// <summary>Ports of the host that lead to guests.</summary>
    public IReadOnlyList<PortForward> Forwards { get; init; } = [];

    /// <summary>Connections of TCP at once, 1 to 1,048,576; beyond, the one that was quiet for the longest time is reset.</summary>
    public int MaximumTcpConnections { get; init; } = 8192;

    /// <summary>Flows of UDP and of ping at once, 1 to 1,048,576; beyond, the one that was quiet for the longest time is forgotten.</summary>
    public int MaximumUdpFlows { get; init; } = 1024;

    /// <summary>How long a flow of UDP may be quiet, 1 s or more: 2 minutes at least, says RFC 4787 (4.3), and 5 are better.</summary>
    public TimeSpan UdpTimeout { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Bytes of memory for what TCP connections have received and not passed on, 1 MiB or more. Each may take 192 KiB beyond.</summary>
    public long MaximumBuffers { get; init; } = 256 << 20;

    /// <summary>For all times of the network.</summary>
    public TimeProvider TimeProvider { get; init; } = TimeProvider.System;

    internal void Validate()
    {
        ArgumentException.ThrowIfNullOrEmpty(Name);
        ArgumentNullException.ThrowIfNull(Policy);
        ArgumentNullException.ThrowIfNull(Forwards);
        ArgumentNullException.ThrowIfNull(TimeProvider);
        CheckRange(Mtu, MinimumMtu, NetTransportFeatures.MaximumMtu, nameof(Mtu));
        CheckRange(MaximumTcpConnections, 1, MaximumConnections, nameof(MaximumTcpConnections));
        CheckRange(MaximumUdpFlows, 1, MaximumConnections, nameof(MaximumUdpFlows));
        ArgumentOutOfRangeException.ThrowIfLessThan(MaximumBuffers, MinimumBuffers, nameof(MaximumBuffers));
        ArgumentOutOfRangeException.ThrowIfLessThan(LeaseTime, TimeSpan.FromMinutes(2), nameof(LeaseTime));
        ArgumentOutOfRangeException.ThrowIfLessThan(UdpTimeout, TimeSpan.FromSeconds(1), nameof(UdpTimeout));
        if (Network.BaseAddress.AddressFamily != AddressFamily.InterNetwork || Network.PrefixLength is < 8 or > 27)
        {
            throw new ArgumentException($"The network {Network} is none of IPv4 with a prefix of 8 to 27 bits: guests need addresses of it, such as 10.0.2.0/24.", nameof(Network));
        }

        if (Network6 is { } network && (network.BaseAddress.AddressFamily != AddressFamily.InterNetworkV6 || network.PrefixLength != 64))
        {
            throw new ArgumentException($"The network {network} is none of IPv6 with a prefix of 64 bits, which guests make addresses of: use one such as fd55:4d4c::/64, or null.", nameof(Network6));
        }

        CheckGuests();
        CheckName(Domain, nameof(Domain));
        CheckName(HostName, nameof(HostName));
    }

    private void CheckGuests()
    {
        const int macLength = 6;
        ArgumentNullException.ThrowIfNull(Guests);
        StackAddresses addresses = new(this);
        HashSet<PhysicalAddress> macs = [];
        HashSet<string> taken = new(StringComparer.OrdinalIgnoreCase) { HostName };
        foreach (UserNetworkGuest guest in Guests)
        {
            if (guest.Mac.GetAddressBytes().Length != macLength || !macs.Add(guest.Mac))
            {
                throw new ArgumentException($"The guest {guest.Mac} has no address of Ethernet of its own: give each one of 6 bytes that no other has.", nameof(Guests));
            }

            if (guest.Address is { } address && (address.AddressFamily != AddressFamily.InterNetwork || !addresses.IsGuest(InternetAddress.From(address)) || !taken.Add(address.ToString())))
            {
                throw new ArgumentException($"The guest {guest.Mac} cannot have {address}: give it one of {Network} that is neither the network's own nor another guest's.", nameof(Guests));
            }

            if (guest.Name is { } name && (!Dns.DnsName.IsHostName(name) || name.Contains('.', StringComparison.Ordinal) || !taken.Add(name)))
            {
                throw new ArgumentException($"The guest {guest.Mac} cannot be called '{name}': give it a name of letters, digits and hyphens that no other has.", nameof(Guests));
            }
        }
    }

    private static void CheckRange(int value, int least, int most, string name)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(value, least, name);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(value, most, name);
    }

    private static void CheckName(string value, string name)
    {
        if (!Dns.DnsName.IsHostName(value))
        {
            throw new ArgumentException($"'{value}' is no name of DNS: up to 200 letters, digits and hyphens, with points between labels of up to 63.", name);
        }
    }
}
