using Uml.Net.Frames;

namespace Uml.Net.Transports.Raw;

/// <summary>A transport whose filter a guest may replace, such as by <c>ethtool --flash</c> (UML's <c>bpfflash</c>).</summary>
public interface INetFilterLoader
{
    /// <summary>Whether it may: off unless the host program has allowed it.</summary>
    bool AllowsLoading { get; }

    /// <summary>Replaces the filter, which decides which frames are received.</summary>
    /// <param name="program">Instructions of classic BPF, eight bytes each, in little-endian byte order; empty for no filter. Checked before the host gets it.</param>
    /// <exception cref="InvalidOperationException">It is not allowed.</exception>
    /// <exception cref="NetTransportException">It is no program that may run; the message says why. The old filter stays.</exception>
    void LoadFilter(ReadOnlySpan<byte> program);
}
