using Uml.Net.Frames;

namespace Uml.Net.InProcess;

/// <summary>What all transports within the process have in common.</summary>
internal static class InProcessFeatures
{
    public static NetTransportFeatures Create(string name, int mtu) => new(name)
    {
        Mtu = mtu,
        MaximumFrameLength = NetTransportFeatures.LongestFrame,
        SendOffloads = NetOffloads.All,
        ReceiveOffloads = NetOffloads.All,
    };

    public static void ValidateBufferSize(int size, string name)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(size, FrameInbox.MinimumSize, name);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(size, FrameInbox.MaximumSize, name);
    }
}
