using System.Numerics;
using Uml.Net.Frames;

namespace Uml.Net.InProcess;

/// <summary>What a <see cref="NetSwitch"/> is like.</summary>
public sealed class NetSwitchOptions
{
    private const int MinimumTable = 16, MaximumTable = 1 << 20;

    /// <summary>What messages call it.</summary>
    public string Name { get; init; } = "switch";

    /// <summary>Addresses that it knows at most, where they are: a power of two from 16 to 1,048,576. Frames to others go to all ports.</summary>
    public int MaximumAddresses { get; init; } = 4096;

    /// <summary>How long an address is known that is not heard of again: more than nothing. 300 seconds is what IEEE 802.1Q, table 8-6, recommends.</summary>
    public TimeSpan Ageing { get; init; } = TimeSpan.FromSeconds(300);

    internal void Validate()
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(MaximumAddresses, MinimumTable);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(MaximumAddresses, MaximumTable);
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(Ageing, TimeSpan.Zero);
        if (!BitOperations.IsPow2(MaximumAddresses))
        {
            throw new ArgumentOutOfRangeException(nameof(MaximumAddresses), MaximumAddresses, "Use a power of two.");
        }
    }
}

/// <summary>What a port of a <see cref="NetSwitch"/> is like.</summary>
public sealed class NetSwitchPortOptions
{
    private const int LastVlan = 4094;

    /// <summary>What messages call it; null for the switch's name with a number.</summary>
    public string? Name { get; init; }

    /// <summary>Bytes of the data of a frame that needs no cutting: 68 to 65,520.</summary>
    public int Mtu { get; init; } = NetTransportFeatures.MaximumMtu;

    /// <summary>
    /// Bytes of frames that wait to be received, with what they take to be kept: 512 KiB to 1 GiB, rounded up to a power of two. What comes when
    /// it is full is lost.
    /// </summary>
    public int BufferSize { get; init; } = 4 << 20;

    /// <summary>The VLAN of frames without a tag, 1 to 4,094; 0 when there are to be none.</summary>
    public int Vlan { get; init; } = 1;

    /// <summary>VLANs whose frames have a tag here, 1 to 4,094; null for all others than <see cref="Vlan"/>, none for an access port.</summary>
    public IReadOnlyCollection<int>? TaggedVlans { get; init; }

    /// <summary>Whether it gets all that is sent at other ports, and nothing else: for a capture. What is sent at it goes nowhere.</summary>
    public bool IsMirror { get; init; }

    internal void Validate()
    {
        NetTransportFeatures.ValidateMtu(Mtu, nameof(Mtu));
        InProcessFeatures.ValidateBufferSize(BufferSize, nameof(BufferSize));
        ArgumentOutOfRangeException.ThrowIfNegative(Vlan);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(Vlan, LastVlan);
        foreach (int vlan in TaggedVlans ?? [])
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(vlan, 1, nameof(TaggedVlans));
            ArgumentOutOfRangeException.ThrowIfGreaterThan(vlan, LastVlan, nameof(TaggedVlans));
        }
    }
}
