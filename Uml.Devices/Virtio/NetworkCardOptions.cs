using System.Net.NetworkInformation;

namespace Uml.Devices.Virtio;

/// <summary>How the guest sees a network card.</summary>
public sealed class NetworkCardOptions
{
    /// <summary>The card's name in the machine; null for <c>net0</c>, <c>net1</c> and so on.</summary>
    public string? Id { get; init; }

    /// <summary>
    /// Its address, that of one station; null for one that follows from the names of the machine and the card, and is locally administered.
    /// </summary>
    public PhysicalAddress? Mac { get; init; }

    /// <summary>Frames that are sent or received at once, 1 to 256: what User Mode Linux calls depth.</summary>
    public int Depth { get; init; } = 64;
}
