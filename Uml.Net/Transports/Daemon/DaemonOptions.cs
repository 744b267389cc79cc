using Uml.Net.Frames;
using Uml.Net.Transports.Descriptors;

namespace Uml.Net.Transports.Daemon;

/// <summary>UML's legacy <c>daemon</c>: a port of uml_switch.</summary>
public sealed record DaemonOptions : NetTransportOptions
{
    /// <summary>The largest MTU that uml_switch has room for.</summary>
    public const int MaximumMtu = 1500;

    /// <summary>Frames of uml_switch have no room for a VLAN tag.</summary>
    private const int MaximumFrame = 1514;

    /// <summary>The socket of the switch (<c>uml_switch -unix</c>). UML calls it <c>dst</c>.</summary>
    public string Switch { get; init; } = "/tmp/uml.ctl";

    internal override void Validate()
    {
        base.Validate();
        ArgumentOutOfRangeException.ThrowIfGreaterThan(Mtu, MaximumMtu, nameof(Mtu));
    }

    internal override INetTransport Open(TransportScope scope)
    {
        NetTransportFeatures features = Describe($"daemon {Switch}");
        features = features with { MaximumFrameLength = Math.Min(features.MaximumFrameLength, MaximumFrame) };
        return SwitchPort.Open(scope, features, BatchDepth, Switch, type: 0, SwitchPort.PaddedRequestLength);
    }
}
