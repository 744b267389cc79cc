using System.Globalization;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Uml.Net.Frames;
using Uml.Net.Interop;
using Uml.Net.Transports.Daemon;
using Uml.Net.Transports.Descriptors;
using Uml.Net.Transports.Fd;

namespace Uml.Net.Transports.Vde;

/// <summary>
/// UML's <c>vde</c>: a network of Virtual Distributed Ethernet. A port of a <c>vde_switch</c> is taken by ourselves; every other locator (VNL), such as
/// <c>tap://tap0</c>, <c>slirp://</c> or <c>vxvde://239.0.0.1</c>, by the program <c>vde_plug</c>, which has to be installed (version 4).
/// </summary>
public sealed record VdeOptions : NetTransportOptions
{
    /// <summary>The largest number of a port that fits into a request.</summary>
    public const int MaximumPort = 0xFF_FFFF;

    /// <summary>The most bytes of a description that vde_switch takes.</summary>
    private const int MaximumDescription = 128;

    /// <summary>How long a helper that fails has to say so; later, the cable is unplugged.</summary>
    private const int StartMilliseconds = 200;

    private const string SwitchScheme = "vde://";

    /// <summary>
    /// The network: the folder of a <c>vde_switch</c>, alone or behind <c>vde://</c>, or any other locator. UML calls it <c>vnl</c>.
    /// </summary>
    public string Locator { get; init; } = "/var/run/vde.ctl";

    /// <summary>What the switch shows of us. UML calls it <c>descr</c>.</summary>
    public string Description { get; init; } = "UML";

    /// <summary>The port of the switch, 1 to <see cref="MaximumPort"/>; 0 for any. UML calls it <c>port</c>.</summary>
    public int Port { get; init; }

    /// <summary>The permissions of the port's socket, octal, which <c>vde_plug</c> is told; our own port needs none. UML calls it <c>mode</c>.</summary>
    public string? Mode { get; init; }

    /// <summary>The group of the port's socket, which <c>vde_plug</c> is told; our own port needs none. UML calls it <c>group</c>.</summary>
    public string? Group { get; init; }

    /// <summary>Whether <c>vde_plug</c> takes the port of a switch too.</summary>
    public bool UsesHelper { get; init; }

    internal override void Validate()
    {
        base.Validate();
        ArgumentOutOfRangeException.ThrowIfNegative(Port, nameof(Port));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(Port, MaximumPort, nameof(Port));
        if (Encoding.UTF8.GetByteCount(Description) > MaximumDescription)
        {
            throw new ArgumentOutOfRangeException(nameof(Description), $"A description has at most {MaximumDescription} bytes: use a shorter one.");
        }
    }

    internal override INetTransport Open(TransportScope scope)
    {
        NetTransportFeatures features = Describe($"vde {Locator}");
        bool isSwitch = Locator.StartsWith(SwitchScheme, StringComparison.Ordinal) || !Locator.Contains("://", StringComparison.Ordinal);
        if (UsesHelper || !isSwitch)
        {
            return OpenByHelper(scope, features);
        }

        string folder = Locator.StartsWith(SwitchScheme, StringComparison.Ordinal) ? Locator[SwitchScheme.Length..] : Locator;
        return SwitchPort.Open(
            scope, features, BatchDepth, $"{folder.TrimEnd('/')}/ctl", Port << 8, SwitchPort.RequestLength, Encoding.UTF8.GetBytes(Description));
    }

    private DescriptorTransport OpenByHelper(TransportScope scope, NetTransportFeatures features)
    {
        (SafeFileHandle ours, SafeFileHandle helpers) = HostSocket.OpenPair(Socket.SequencedPacket);
        scope.Own(ours);
        using (helpers)
        {
            List<string> arguments = ["vde_plug", "--descr", Description];
            if (Port != 0)
            {
                arguments.AddRange(["--port2", Port.ToString(CultureInfo.InvariantCulture)]);
            }

            if (Mode is not null)
            {
                arguments.AddRange(["--mod2", Mode]);
            }

            if (Group is not null)
            {
                arguments.AddRange(["--group2", Group]);
            }

            arguments.AddRange([$"seqpacket://{HelperProcess.Descriptor}", Locator]);
            scope.Own(HelperProcess.Start(arguments, helpers));
        }

        return HostSocket.IsHungUpWithin(ours, StartMilliseconds)
            ? throw new NetTransportException($"vde_plug ends at once for '{Locator}': try 'vde_plug {Locator}' in a terminal, which says why.")
            : FdOptions.Open(scope, ours, features, BatchDepth);
    }
}
