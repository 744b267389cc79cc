using System.Net;
using System.Net.Sockets;
using Uml.Net.Packets;
using Uml.Net.UserNet.Dns;

namespace Uml.Net.UserNet;

/// <summary>What guests of a user-mode network may reach.</summary>
public sealed record UserNetworkPolicy
{
    /// <summary>Nothing but the network itself: its addresses, its names, each other.</summary>
    public static UserNetworkPolicy NoOutbound => new() { AllowsOutbound = false };

    /// <summary>Whether guests may reach anything outside.</summary>
    public bool AllowsOutbound { get; init; } = true;

    /// <summary>
    /// Whether guests may reach what listens on the host's loopback addresses, by <see cref="UserNetworkOptions.HostName"/> or the gateway's address,
    /// whatever else is allowed.
    /// </summary>
    public bool AllowsHost { get; init; }

    /// <summary>What guests may reach outside; everything when there is none. Ports of the gateway that lead to the host are not meant.</summary>
    public IReadOnlyList<UserNetworkRule> Allowed { get; init; } = [];

    /// <summary>Whether a name may be asked for outside.</summary>
    internal bool AllowsName(string name)
    {
        if (!AllowsOutbound || Allowed.Count == 0)
        {
            return AllowsOutbound;
        }

        foreach (UserNetworkRule rule in Allowed)
        {
            // Who allows addresses says nothing about the names that stand for them.
            if (rule.Name is null || rule.MatchesName(name))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Whether something outside may be reached.</summary>
    /// <param name="destination">What.</param>
    /// <param name="names">The names that stand for its address, as guests were told.</param>
    internal bool Allows(InternetEndPoint destination, IReadOnlyList<string> names)
    {
        if (!AllowsOutbound || IsNeverOutside(destination.Address))
        {
            return false;
        }

        if (Allowed.Count == 0)
        {
            return true;
        }

        IPAddress address = destination.Address.ToIPAddress();
        foreach (UserNetworkRule rule in Allowed)
        {
            if (rule.Matches(address, destination.Port, names))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>
    /// What would lead to the host itself, or to nobody: "this" network and loopback (RFC 1122, 3.2.1.3), link-local addresses, among them those
    /// at which clouds tell secrets to their machines, mapped and compatible addresses (RFC 4291, 2.5.5), and groups.
    /// </summary>
    private static bool IsNeverOutside(InternetAddress address) => address.IsMulticast || address.IsLinkLocal
        || (address.IsIp4 ? address.Value4 >> 24 is 0 or 127 || address.Value4 >> 28 == 0xF : address.High == 0 && address.Low >> 32 is 0 or 0xFFFF);
}

/// <summary>Something that guests may reach: what matches all that is given.</summary>
public sealed record UserNetworkRule
{
    /// <summary>The addresses; null for all.</summary>
    public IPNetwork? Network { get; init; }

    /// <summary>The first of the ports.</summary>
    public ushort FirstPort { get; init; }

    /// <summary>The last of the ports.</summary>
    public ushort LastPort { get; init; } = ushort.MaxValue;

    /// <summary>
    /// A name, such as <c>deb.debian.org</c>, or all names below one, <c>*.debian.org</c>: the addresses that the name server of the network has told
    /// guests for it. Null for all addresses.
    /// </summary>
    public string? Name { get; init; }

    /// <summary>Allows an address or all of a network.</summary>
    /// <param name="network">Such as <c>192.0.2.0/24</c> or <c>192.0.2.1</c>.</param>
    /// <exception cref="FormatException">It is neither.</exception>
    public static UserNetworkRule ForNetwork(string network)
    {
        ArgumentNullException.ThrowIfNull(network);
        if (IPAddress.TryParse(network, out IPAddress? address))
        {
            return new UserNetworkRule { Network = new IPNetwork(address, address.AddressFamily == AddressFamily.InterNetwork ? 32 : 128) };
        }

        return new UserNetworkRule { Network = IPNetwork.Parse(network) };
    }

    /// <summary>Allows a name.</summary>
    /// <param name="name">See <see cref="Name"/>.</param>
    public static UserNetworkRule ForName(string name) => new() { Name = name };

    internal bool Matches(IPAddress address, ushort port, IReadOnlyList<string> names) =>
        port >= FirstPort && port <= LastPort && (Network is not { } network || network.Contains(address)) && (Name is null || names.Any(MatchesName));

    internal bool MatchesName(string name) => Name is not null && (Name.StartsWith("*.", StringComparison.Ordinal)
        ? name.Length >= Name.Length && name.EndsWith(Name[1..], StringComparison.OrdinalIgnoreCase)
        : DnsName.AreEqual(name, Name));
}
