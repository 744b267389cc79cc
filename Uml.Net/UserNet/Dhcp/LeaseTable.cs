using Uml.Net.UserNet.Dns;

namespace Uml.Net.UserNet.Dhcp;

/// <summary>An address that a guest has, or had until its time was over.</summary>
internal sealed class Lease(uint address, ulong mac)
{
    public uint Address => address;

    public ulong Mac => mac;

    public string? Name { get; set; }

    /// <summary>Whether the host program has said who gets the address.</summary>
    public bool IsReserved { get; init; }

    /// <summary>Whether the host program has said how the guest is called.</summary>
    public bool IsNamed { get; init; }

    /// <summary>When it ends, in milliseconds; one that was only offered ends soon.</summary>
    public long Ends { get; set; }
}

/// <summary>Who has which address. A guest gets the one it had as long as nobody else needs it.</summary>
/// <param name="first">The first address that may be leased.</param>
/// <param name="last">The last.</param>
internal sealed class LeaseTable(uint first, uint last)
{
    /// <summary>Leases that are remembered, however large the network. A limit of ours.</summary>
    private const int MaximumLeases = 4096;

    private readonly Dictionary<ulong, Lease> _byMac = [];
    private readonly Dictionary<uint, Lease> _byAddress = [];
    private readonly Dictionary<ulong, string> _givenNames = [];

    /// <summary>Reserves an address or a name for a guest.</summary>
    public void Reserve(ulong mac, uint? address, string? name)
    {
        if (name is not null)
        {
            _givenNames.Add(mac, name);
        }

        if (address is { } reserved)
        {
            Add(reserved, mac, isReserved: true);
        }
    }

    private int Limit => (int)Math.Min(last - first + 1, MaximumLeases);

    public Lease? Find(ulong mac) => _byMac.GetValueOrDefault(mac);

    /// <summary>The lease of whoever calls itself so.</summary>
    public Lease? FindName(string name, long now) => _byMac.Values.FirstOrDefault(lease => lease.Name is not null && lease.Ends > now && DnsName.AreEqual(lease.Name, name));

    /// <summary>Finds an address for a guest: its own, the one it wishes, or one that is free.</summary>
    /// <param name="mac">The guest.</param>
    /// <param name="wish">An address; 0 for none.</param>
    /// <param name="now">The time.</param>
    /// <returns>Null when all are taken.</returns>
    public Lease? Get(ulong mac, uint wish, long now)
    {
        if (_byMac.TryGetValue(mac, out Lease? lease))
        {
            return lease;
        }

        if (wish >= first && wish <= last && !_byAddress.ContainsKey(wish) && _byAddress.Count < Limit)
        {
            return Add(wish, mac);
        }

        for (uint address = first; address <= last && _byAddress.Count < Limit; address++)
        {
            if (!_byAddress.ContainsKey(address))
            {
                return Add(address, mac);
            }
        }

        Lease? oldest = _byAddress.Values.Where(other => !other.IsReserved).MinBy(other => other.Ends);
        if (oldest is null || oldest.Ends > now)
        {
            return null;
        }

        Remove(oldest);
        return Add(oldest.Address, mac);
    }

    public void Remove(Lease lease)
    {
        _byAddress.Remove(lease.Address);
        _byMac.Remove(lease.Mac);
    }

    private Lease Add(uint address, ulong mac, bool isReserved = false)
    {
        string? name = _givenNames.GetValueOrDefault(mac);
        Lease lease = new(address, mac) { IsReserved = isReserved, Name = name, IsNamed = name is not null };
        _byAddress.Add(address, lease);
        _byMac.Add(mac, lease);
        return lease;
    }
}
