using Uml.Net.Frames;

namespace Uml.Net.Transports.Descriptors;

/// <summary>Which offloads go together (virtio 1.2, 5.1.3.1).</summary>
internal static class OffloadRules
{
    /// <exception cref="ArgumentException">Some are not offered, or need others.</exception>
    public static void Check(NetOffloads accepted, NetOffloads offered)
    {
        if ((accepted & ~offered) != 0)
        {
            throw new ArgumentException($"This transport cannot leave {accepted & ~offered} to its receiver, but {offered}.", nameof(accepted));
        }

        if (accepted != NetOffloads.None && (accepted & NetOffloads.Checksum) == 0)
        {
            throw new ArgumentException($"{accepted} needs {NetOffloads.Checksum}.", nameof(accepted));
        }

        if ((accepted & NetOffloads.TcpEcn) != 0 && (accepted & (NetOffloads.Tcp4 | NetOffloads.Tcp6)) == 0)
        {
            throw new ArgumentException($"{NetOffloads.TcpEcn} needs {NetOffloads.Tcp4} or {NetOffloads.Tcp6}.", nameof(accepted));
        }
    }
}
