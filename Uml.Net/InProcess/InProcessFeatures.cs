using Uml.Net.Frames;
using Uml.Net.Packets;

namespace Uml.Net.InProcess;

/// <summary>What all transports within the process have in common.</summary>
internal static class InProcessFeatures
{
    /// <summary>Bytes of the longest frame: the data of the largest IP packet, with two VLAN tags.</summary>
    public const int MaximumFrameLength = ushort.MaxValue + FrameLayout.EthernetLength + (2 * FrameLayout.VlanTagLength);

    private const int MinimumMtu = 68;

    public static NetTransportFeatures Create(string name, int mtu) => new(name)
    {
        Mtu = mtu,
        MaximumFrameLength = MaximumFrameLength,
        SendOffloads = NetOffloads.All,
        ReceiveOffloads = NetOffloads.All,
    };

    public static void ValidateMtu(int mtu, string name)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(mtu, MinimumMtu, name);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(mtu, NetTransportFeatures.MaximumMtu, name);
    }

    public static void ValidateBufferSize(int size, string name)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(size, FrameInbox.MinimumSize, name);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(size, FrameInbox.MaximumSize, name);
    }
}
