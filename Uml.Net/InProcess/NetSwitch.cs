using System.Buffers.Binary;
using Uml.Net.Frames;
using Uml.Net.Packets;

namespace Uml.Net.InProcess;

/// <summary>
/// A switch in this process: learns which station is behind which port, and sends frames there, those for many and for unknown ones to all ports
/// of their VLAN (IEEE 802.1Q, 8.6 to 8.8). Ports may come and go at any time.
/// </summary>
/// <remarks>A port whose holder receives too slowly loses frames, as at any switch; it holds up no other.</remarks>
public sealed class NetSwitch : IAsyncDisposable
{
    private readonly NetSwitchOptions _options;
    private readonly TimeProvider _timeProvider;
    private readonly Lock _lock = new();
    private readonly MacTable _addresses;
    private readonly long _ageing;

    /// <summary>The ports by number, with gaps. Replaced as a whole.</summary>
    private NetSwitchPort?[] _ports = [];
    private bool _isDisposed;

    /// <summary>Makes a switch without ports.</summary>
    /// <param name="options">What it is like; null for the defaults.</param>
    /// <param name="timeProvider">The clock that addresses age by; null for the system's.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range.</exception>
    public NetSwitch(NetSwitchOptions? options = null, TimeProvider? timeProvider = null)
    {
        _options = options ?? new NetSwitchOptions();
        _options.Validate();
        _timeProvider = timeProvider ?? TimeProvider.System;
        _addresses = new MacTable(_options.MaximumAddresses);
        _ageing = (long)(_options.Ageing.TotalSeconds * _timeProvider.TimestampFrequency);
    }

    /// <summary>Addresses that it knows at the moment, some perhaps for too long already.</summary>
    public int AddressCount
    {
        get
        {
            lock (_lock)
            {
                return _addresses.Count;
            }
        }
    }

    /// <summary>Plugs a cable in.</summary>
    /// <param name="options">What the port is like; null for the defaults.</param>
    /// <returns>The end of the cable; disposing it pulls the cable out.</returns>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range.</exception>
    public NetSwitchPort Connect(NetSwitchPortOptions? options = null)
    {
        options ??= new NetSwitchPortOptions();
        options.Validate();
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            int number = Array.IndexOf(_ports, null);
            NetSwitchPort?[] ports = number >= 0 ? [.. _ports] : [.. _ports, null];
            number = number >= 0 ? number : _ports.Length;
            ports[number] = new NetSwitchPort(this, number, options.Name ?? $"{_options.Name}.{number}", options);
            Volatile.Write(ref _ports, ports);
            return ports[number]!;
        }
    }

    /// <summary>Pulls all cables out.</summary>
    public async ValueTask DisposeAsync()
    {
        NetSwitchPort?[] ports;
        lock (_lock)
        {
            _isDisposed = true;
            ports = _ports;
        }

        foreach (NetSwitchPort port in ports.OfType<NetSwitchPort>())
        {
            await port.DisposeAsync().ConfigureAwait(false);
        }
    }

    /// <summary>Takes a port away.</summary>
    internal void Remove(NetSwitchPort port)
    {
        lock (_lock)
        {
            NetSwitchPort?[] ports = [.. _ports];
            ports[port.Number] = null;
            Volatile.Write(ref _ports, ports);
            _addresses.Forget(port.Number);
        }
    }

    /// <summary>Sends frames that came in at a port on.</summary>
    internal void Forward(NetSwitchPort from, ReadOnlySpan<NetFrame> frames)
    {
        const int Chunk = 64;
        Span<Route> routes = stackalloc Route[Chunk];
        NetSwitchPort?[] ports = Volatile.Read(ref _ports);
        while (!frames.IsEmpty)
        {
            ReadOnlySpan<NetFrame> chunk = frames[..Math.Min(frames.Length, Chunk)];
            frames = frames[chunk.Length..];
            FindRoutes(from, chunk, routes);
            Mirror(from, ports, chunk);
            int next;
            for (int first = 0; first < chunk.Length; first = next)
            {
                next = first + 1;
                while (next < chunk.Length && routes[next] == routes[first])
                {
                    next++;
                }

                Deliver(from, ports, routes[first], chunk[first..next]);
            }
        }
    }

    private void FindRoutes(NetSwitchPort from, ReadOnlySpan<NetFrame> frames, Span<Route> routes)
    {
        const int AddressLength = 6, HeadLength = FrameLayout.EthernetLength + FrameLayout.VlanTagLength;
        const ulong Group = 1UL << 40;
        Span<byte> head = stackalloc byte[HeadLength + 2];
        long now = _timeProvider.GetTimestamp();
        lock (_lock)
        {
            for (int i = 0; i < frames.Length; i++)
            {
                int length = frames[i].CopyTo(head[..HeadLength]);
                int tag = VlanTag.Read(head[..length]);
                int vlan = from.VlanOf(tag);
                ulong destination = BinaryPrimitives.ReadUInt64BigEndian(head) >> 16;
                ulong source = BinaryPrimitives.ReadUInt64BigEndian(head[AddressLength..]) >> 16;
                if (length < FrameLayout.EthernetLength || vlan < 0 || (source & Group) != 0)
                {
                    routes[i] = new Route(Route.Nowhere, 0, false);
                    continue;
                }

                _addresses.Learn(MacTable.KeyOf(vlan, source), from.Number, now);
                int port = (destination & Group) != 0 ? Route.Everywhere : _addresses.Find(MacTable.KeyOf(vlan, destination), now - _ageing);
                routes[i] = new Route(port, vlan, tag >= 0);
            }
        }
    }

    private static void Mirror(NetSwitchPort from, NetSwitchPort?[] ports, ReadOnlySpan<NetFrame> frames)
    {
        foreach (NetSwitchPort? port in ports)
        {
            if (port is { IsMirror: true } && port != from)
            {
                port.Inbox.DeliverOrLose(frames);
            }
        }
    }

    private static void Deliver(NetSwitchPort from, NetSwitchPort?[] ports, Route route, ReadOnlySpan<NetFrame> frames)
    {
        if (route.Port >= 0)
        {
            if (route.Port < ports.Length && ports[route.Port] is { } port && port != from)
            {
                port.Deliver(from.Tag, route, frames);
            }

            return;
        }

        if (route.Port == Route.Nowhere)
        {
            return;
        }

        foreach (NetSwitchPort? port in ports)
        {
            if (port is { IsMirror: false } && port != from)
            {
                port.Deliver(from.Tag, route, frames);
            }
        }
    }

    /// <summary>Where a frame goes.</summary>
    /// <param name="Port">A port's number, or one of the others.</param>
    /// <param name="Vlan">Its VLAN.</param>
    /// <param name="IsTagged">Whether it has a tag.</param>
    internal readonly record struct Route(int Port, int Vlan, bool IsTagged)
    {
        public const int Everywhere = -1, Nowhere = -2;
    }
}
