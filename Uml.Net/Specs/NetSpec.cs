using System.Globalization;
using System.Net.NetworkInformation;
using Uml.Net.Frames;
using Uml.Net.Transports.Descriptors;

namespace Uml.Net.Specs;

/// <summary>
/// A network as User Mode Linux spells it: <c>transport=tap,ifname=tap0,mac=52:54:00:12:34:56</c>, with <c>vec0:</c> before it or not.
/// </summary>
/// <remarks>
/// A transport's name counts when the value begins with it, in the order of UML. The options <c>depth</c>, <c>mac</c>, <c>mtu</c>, <c>gro</c>,
/// <c>headroom</c> and <c>vec</c> are known by all.
/// </remarks>
public sealed record NetSpec
{
    /// <summary>The most cards of a machine.</summary>
    public const int MaximumUnit = 4095;

    /// <summary>The most bytes of <see cref="Headroom"/>.</summary>
    public const int MaximumHeadroom = 4096;

    /// <summary>The transport, which opens by <see cref="NetTransportOptions.Open(Polling.NetPoller?)"/>.</summary>
    public required NetTransportOptions Transport { get; init; }

    /// <summary>The number of the card, 0 to <see cref="MaximumUnit"/>; null where none is given.</summary>
    public int? Unit { get; init; }

    /// <summary>The address of the card (<c>mac</c>); null for one that is made up.</summary>
    public PhysicalAddress? HardwareAddress { get; init; }

    /// <summary>
    /// Bytes that are kept free before a frame (<c>headroom</c>), 0 to <see cref="MaximumHeadroom"/>. Without effect: headers have memory of their own
    /// here.
    /// </summary>
    public int Headroom { get; init; }

    /// <summary>Reads it.</summary>
    /// <param name="text">The text.</param>
    /// <exception cref="NetSpecException">It is wrong; the message names the option, and what it may be.</exception>
    public static NetSpec Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        int? unit = ReadUnit(ref text);
        SpecOptions options = new(SpecGrammar.Parse(text));
        string kind = options.Required("transport", "NAME, one of " + SpecTransports.Names);
        (string name, NetTransportOptions transport) = SpecTransports.Make(kind, options);
        NetSpec spec = new()
        {
            Transport = transport with
            {
                Depth = options.Number("depth", 1, NetTransportOptions.MaximumDepth) ?? transport.Depth,
                Mtu = options.Number("mtu", NetTransportFeatures.MinimumMtu, SpecTransports.MaximumMtu(transport)) ?? transport.Mtu,
                UsesOffloads = options.Flag("gro") ?? transport.UsesOffloads,
                IsVectored = options.Flag("vec") ?? transport.IsVectored,
            },
            Unit = unit,
            HardwareAddress = options.HardwareAddress("mac"),
            Headroom = options.Number("headroom", 0, MaximumHeadroom) ?? 0,
        };
        options.RefuseUnknown(name);
        try
        {
            spec.Transport.Validate();
        }
        catch (ArgumentException exception)
        {
            throw new NetSpecException($"The network '{text}' cannot be: {exception.Message}", exception);
        }

        return spec;
    }

    private static int? ReadUnit(ref string text)
    {
        const string Prefix = "vec";
        int colon = text.IndexOfAny([':', '=']);
        if (!text.StartsWith(Prefix, StringComparison.Ordinal) || colon < 0 || text[colon] != ':')
        {
            return null;
        }

        string number = text[Prefix.Length..colon];
        text = text[(colon + 1)..];
        return int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out int unit) && unit <= MaximumUnit
            ? unit
            : throw new NetSpecException("vec", $"'{Prefix}{number}:' names no card: write {Prefix}0: to {Prefix}{MaximumUnit}:.");
    }
}
