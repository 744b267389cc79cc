using Uml.Net.Frames;
using Uml.Net.Transports.Bess;
using Uml.Net.Transports.Daemon;
using Uml.Net.Transports.Datagrams;
using Uml.Net.Transports.Descriptors;
using Uml.Net.Transports.Fd;
using Uml.Net.Transports.Gre;
using Uml.Net.Transports.Hybrid;
using Uml.Net.Transports.L2tp;
using Uml.Net.Transports.Multicast;
using Uml.Net.Transports.Raw;
using Uml.Net.Transports.Streams;
using Uml.Net.Transports.Tap;
using Uml.Net.Transports.Vde;
using Uml.Net.Transports.Vxlan;

namespace Uml.Net.Specs;

/// <summary>The transports by name.</summary>
internal static class SpecTransports
{
    private const string Path = "PATH", Host = "ADDRESS", InterfaceName = "INTERFACE";

    /// <summary>UML's, in its order, and ours.</summary>
    private static readonly (string Name, Func<SpecOptions, NetTransportOptions> Make)[] s_transports =
    [
        ("raw", MakeRaw),
        ("hybrid", options => new HybridOptions { Interface = options.Required("ifname", InterfaceName) }),
        ("tap", MakeTap),
        ("gre", MakeGre),
        ("l2tpv3", MakeL2tp),
        ("bess", options => new BessOptions { Destination = options.Required("dst", Path), Source = options.Text("src") }),
        ("fd", MakeFd),
        ("vde", MakeVde),
        ("daemon", options => options.Text("dst") is { } path ? new DaemonOptions { Switch = path } : new DaemonOptions()),
        ("mcast", MakeMulticast),
        ("vxlan", MakeVxlan),
        ("stream", MakeStream),
        ("dgram", MakeDatagram),
    ];

    public static string Names => string.Join(", ", s_transports.Select(transport => transport.Name));

    public static (string Name, NetTransportOptions Options) Make(string kind, SpecOptions options)
    {
        foreach ((string name, Func<SpecOptions, NetTransportOptions> make) in s_transports)
        {
            if (kind.StartsWith(name, StringComparison.Ordinal))
            {
                return (name, make(options));
            }
        }

        throw new NetSpecException("transport", $"There is no transport '{kind}'; there are {Names}.");
    }

    public static int MaximumMtu(NetTransportOptions transport) =>
        transport is DaemonOptions ? DaemonOptions.MaximumMtu : NetTransportFeatures.MaximumMtu;

    private static int? Port(SpecOptions options, string name) => options.Number(name, 1, ushort.MaxValue);

    private static RawOptions MakeRaw(SpecOptions options) => new()
    {
        Interface = options.Required("ifname", InterfaceName),
        FilterFile = options.Text("bpffile"),
        AllowsFilterLoading = options.Flag("bpfflash") ?? false,
        IsPromiscuous = options.Flag("promisc") ?? true,
    };

    private static TapOptions MakeTap(SpecOptions options) => new()
    {
        Interface = options.Text("ifname"),
        Descriptor = options.Number("fd", 0, int.MaxValue),
        HeaderSize = options.Choice("vnethdr", NetOffload.Size, ("10", NetOffload.Size), ("12", VirtioHeader.LongSize)),
    };

    private static GreOptions MakeGre(SpecOptions options) => new()
    {
        Destination = options.Required("dst", Host),
        Source = options.Text("src"),
        IsIp6 = options.Flag("v6"),
        ReceiveKey = (uint?)options.Integer("rx_key", uint.MaxValue),
        SendKey = (uint?)options.Integer("tx_key", uint.MaxValue),
        HasSequence = options.Flag("sequence") ?? false,
        IsSequencePinned = options.Flag("pin_sequence") ?? false,
        FirstSequence = (uint)(options.Integer("first_sequence", uint.MaxValue) ?? 1),
    };

    private static L2tpOptions MakeL2tp(SpecOptions options)
    {
        bool hasLongCookies = options.Flag("cookie64") ?? false;
        ulong most = hasLongCookies ? ulong.MaxValue : uint.MaxValue;
        return new L2tpOptions
        {
            Destination = options.Required("dst", Host),
            Source = options.Text("src"),
            IsIp6 = options.Flag("v6"),
            UsesUdp = options.Flag("udp") ?? false,
            SourcePort = Port(options, "srcport") ?? L2tpOptions.DefaultPort,
            DestinationPort = Port(options, "dstport") ?? L2tpOptions.DefaultPort,
            ReceiveSession = options.RequiredInteger("rx_session"),
            SendSession = options.RequiredInteger("tx_session"),
            ReceiveCookie = options.Integer("rx_cookie", most),
            SendCookie = options.Integer("tx_cookie", most),
            HasLongCookies = hasLongCookies,
            HasCounter = options.Flag("counter") ?? false,
            IsCounterPinned = options.Flag("pin_counter") ?? false,
        };
    }

    private static FdOptions MakeFd(SpecOptions options) => new()
    {
        Descriptor = options.Number("fd", 0, int.MaxValue) ?? throw new NetSpecException("fd", "The option fd is missing: write fd=NUMBER, an open descriptor."),
    };

    private static VdeOptions MakeVde(SpecOptions options)
    {
        VdeOptions defaults = new();
        return defaults with
        {
            Locator = options.Text("vnl") ?? defaults.Locator,
            Description = options.Text("descr") ?? defaults.Description,
            Port = options.Number("port", 0, VdeOptions.MaximumPort) ?? 0,
            Mode = options.Text("mode"),
            Group = options.Text("group"),
            UsesHelper = options.Flag("helper") ?? false,
        };
    }

    private static MulticastOptions MakeMulticast(SpecOptions options)
    {
        MulticastOptions defaults = new();
        return defaults with
        {
            Group = options.Text("dst") ?? defaults.Group,
            Port = Port(options, "dstport") ?? defaults.Port,
            Source = options.Text("src"),
            TimeToLive = options.Number("ttl", 0, byte.MaxValue) ?? defaults.TimeToLive,
        };
    }

    private static VxlanOptions MakeVxlan(SpecOptions options) => new()
    {
        Destination = options.Required("dst", Host),
        Source = options.Text("src"),
        IsIp6 = options.Flag("v6"),
        SourcePort = Port(options, "srcport") ?? VxlanOptions.DefaultPort,
        DestinationPort = Port(options, "dstport") ?? VxlanOptions.DefaultPort,
        Network = (int)(options.Integer("vni", VxlanOptions.MaximumNetwork) ?? throw new NetSpecException("vni", "The option vni is missing: write vni=NUMBER, the network.")),
    };

    private static StreamOptions MakeStream(SpecOptions options)
    {
        bool isServer = options.Flag("listen") ?? false;
        return new StreamOptions
        {
            IsServer = isServer,
            Address = options.Required(isServer ? "src" : "dst", $"{Path}, or {Host} beside a port"),
            Port = Port(options, isServer ? "srcport" : "dstport"),
            IsIp6 = options.Flag("v6"),
            Framing = options.Choice(
                "framing", StreamFraming.Qemu, ("qemu", StreamFraming.Qemu), ("hyperkit", StreamFraming.HyperKit), ("vde", StreamFraming.Vde)),
        };
    }

    private static DatagramOptions MakeDatagram(SpecOptions options) => new()
    {
        Source = options.Required("src", $"{Path}, or {Host} beside srcport"),
        Destination = options.Required("dst", $"{Path}, or {Host} beside dstport"),
        SourcePort = Port(options, "srcport"),
        DestinationPort = Port(options, "dstport"),
        IsIp6 = options.Flag("v6"),
    };
}
