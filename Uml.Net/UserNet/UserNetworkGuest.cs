using System.Net;
using System.Net.NetworkInformation;

namespace Uml.Net.UserNet;

/// <summary>What a network tells one guest, which is known by its card.</summary>
/// <param name="Mac">The card's address of Ethernet.</param>
public sealed record UserNetworkGuest(PhysicalAddress Mac)
{
    /// <summary>The address that it gets, and nobody else; null for any.</summary>
    public IPAddress? Address { get; init; }

    /// <summary>Its name, without a domain; null for what it calls itself.</summary>
    public string? Name { get; init; }
}
