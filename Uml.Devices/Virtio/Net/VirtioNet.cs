using System.Buffers.Binary;
using Microsoft.Extensions.Logging;
using Uml.Core.Snapshots;
using Uml.Devices.Virtio.Device;
using Uml.Devices.Virtio.Queue;
using Uml.Net.Frames;

namespace Uml.Devices.Virtio.Net;

/// <summary>
/// A network card of the guest (virtio 1.2, 5.1). All of it runs on the machine's thread: sending when the driver says that there is something,
/// receiving when the transport does.
/// </summary>
internal sealed class VirtioNet : VirtioDevice, IDisposable
{
    private const int ReceiveQueue = 0, TransmitQueue = 1, ControlQueue = 2;
    private const ushort QueueSize = 1024, ControlQueueSize = 64;

    private readonly INetTransport _transport;
    private readonly ulong _mac;
    private readonly int _depth;
    private readonly string _name;
    private readonly ILogger _logger;
    private readonly ReceiveFilter _filter = new();
    private readonly VirtqueueChain _command = new();
    private readonly Action _onConnectionChanged;
    private NetTransmitter? _transmitter;
    private NetReceiver? _receiver;
    private NetWait? _readable, _writable;

    /// <summary>Whether the transport has failed, and the link is down for good.</summary>
    private bool _hasFailed;
    private bool _announces;

    /// <param name="transport">The other end, which takes every frame whatever is left to do for it.</param>
    /// <param name="mac">The address that the card is given.</param>
    /// <param name="depth">Frames of a batch.</param>
    /// <param name="name">The card's name, for messages.</param>
    /// <param name="logger">Where failures are told.</param>
    public VirtioNet(INetTransport transport, ulong mac, int depth, string name, ILogger logger)
    {
        (_transport, _mac, _depth, _name, _logger) = (transport, mac, depth, name, logger);
        _onConnectionChanged = () => Transport.InterruptConfiguration();
    }

    public override ushort Type => VirtioNetLayout.DeviceType;

    /// <summary>Ethernet controller.</summary>
    public override uint PciClass => 0x02_00_00;

    public override int ConfigurationLength => VirtioNetLayout.ConfigurationLength;

    public override ulong OwnFeatures => VirtioNetLayout.HasMac | VirtioNetLayout.HasStatus | VirtioNetLayout.HasMtu | VirtioNetLayout.MergeableBuffers
        | VirtioNetLayout.ControlQueue | VirtioNetLayout.ControlReceive | VirtioNetLayout.ControlReceiveExtra | VirtioNetLayout.ControlVlan
        | VirtioNetLayout.ControlMac | VirtioNetLayout.GuestAnnounce
        | VirtioNetLayout.Checksum | VirtioNetLayout.HostTcp4 | VirtioNetLayout.HostTcp6 | VirtioNetLayout.HostEcn | VirtioNetLayout.HostUdp
        | VirtioNetLayout.ToFeatures(_transport.Features.ReceiveOffloads);

    protected override ReadOnlySpan<ushort> QueueSizes => [QueueSize, QueueSize, ControlQueueSize];

    public override void ReadConfiguration(Span<byte> configuration)
    {
        configuration.Clear();
        WriteMac(configuration, _filter.Own);
        bool isUp = _transport.IsConnected && !_hasFailed;
        BinaryPrimitives.WriteUInt16LittleEndian(
            configuration[VirtioNetLayout.StatusField..], (ushort)((isUp ? VirtioNetLayout.LinkUp : 0) | (_announces ? VirtioNetLayout.Announce : 0)));
        BinaryPrimitives.WriteUInt16LittleEndian(configuration[VirtioNetLayout.MtuField..], (ushort)_transport.Features.Mtu);
    }

    /// <summary>Ends its waits for the transport.</summary>
    public void Dispose()
    {
        _readable?.Dispose();
        _writable?.Dispose();
    }

    protected override void OnAttached()
    {
        _filter.Own = _mac;
        _transmitter = new NetTransmitter(Transport.Machine.Memory, _transport, _depth);
        _receiver = new NetReceiver(Transport.Machine.Memory, _transport, _filter, _depth);
        _readable = new NetWait(Transport.Machine, _transport.WaitToReceiveAsync, Receive);
        _writable = new NetWait(Transport.Machine, _transport.WaitToSendAsync, Transmit);
        _transport.ConnectionChanged += OnConnectionChanged;
    }

    protected override void OnDetaching()
    {
        _transport.ConnectionChanged -= OnConnectionChanged;
        Dispose();
    }

    protected override void OnActivated()
    {
        AcceptOffloads(VirtioNetLayout.ToOffloads(Features));
        _receiver!.MergesBuffers = (Features & VirtioNetLayout.MergeableBuffers) != 0;
        _readable!.Begin();
    }

    protected override void OnReset()
    {
        _filter.Reset();
        _filter.Own = _mac;
        _transmitter?.Reset();
        _receiver?.Reset();
        _announces = false;
    }

    protected override void OnNotified(int queue)
    {
        switch (queue)
        {
            case ReceiveQueue:
                // Buffers that a frame may wait for; the wait for frames goes on meanwhile where there was one.
                if (!_readable!.IsUnderWay)
                {
                    Receive();
                }

                break;
            case TransmitQueue:
                if (!_writable!.IsUnderWay)
                {
                    Transmit();
                }

                break;
            default:
                ExecuteCommands();
                break;
        }
    }

    protected override void SaveOwnState(StateWriter state)
    {
        _filter.SaveState(state);
        SaveHeads(state, _transmitter!.Held);
        SaveHeads(state, [.. _receiver!.Held.Select(chain => chain.Head)]);
    }

    protected override void RestoreOwnState(StateReader state)
    {
        OnReset();
        _filter.RestoreState(state);
        ushort[] sent = RestoreHeads(state, _depth, QueueSize);
        ushort[] buffers = RestoreHeads(state, QueueSize, QueueSize);
        if (!IsActive)
        {
            return;
        }

        // What the machine had is found again once it runs: its memory may be restored behind its devices.
        Transport.Machine.Post(() => Guard(TransmitQueue, (sent, buffers), static (device, heads) => ((VirtioNet)device).GoOn(heads.sent, heads.buffers)));
    }

    private static void WriteMac(Span<byte> destination, ulong mac)
    {
        BinaryPrimitives.WriteUInt32BigEndian(destination, (uint)(mac >> 16));
        BinaryPrimitives.WriteUInt16BigEndian(destination[sizeof(uint)..], (ushort)mac);
    }

    private void GoOn(ReadOnlySpan<ushort> sent, ReadOnlySpan<ushort> buffers)
    {
        OnActivated();
        _transmitter!.Retake(Queues[TransmitQueue], sent);
        _receiver!.Retake(Queues[ReceiveQueue], buffers);

        // Others may have taken its place on the network meanwhile (virtio 1.2, 5.1.6.5.4).
        _announces = (Features & VirtioNetLayout.GuestAnnounce) != 0;
        Transport.InterruptConfiguration();
        Transmit();
    }

    private void Transmit() => Guard(TransmitQueue, static (device, queue) => ((VirtioNet)device).Run(queue));

    private void Receive() => Guard(ReceiveQueue, static (device, queue) => ((VirtioNet)device).Run(queue));

    private void Run(int queue)
    {
        if (!IsActive || _hasFailed)
        {
            return;
        }

        try
        {
            RunWhilePossible(queue);
        }
        catch (NetTransportException e)
        {
            _hasFailed = true;
            VirtioNetLog.Failed(_logger, _name, e.Message);
            Transport.InterruptConfiguration();
        }

        if (IsActive && Queues[queue].TakeInterrupt())
        {
            Transport.InterruptQueue(queue);
        }
    }

    private void RunWhilePossible(int queue)
    {
        if (queue == TransmitQueue)
        {
            if (!_transmitter!.Run(Queues[queue]))
            {
                _writable!.Begin();
            }
        }
        else if (_receiver!.Run(Queues[queue]))
        {
            _readable!.Begin();
        }
    }

    private void AcceptOffloads(NetOffloads offloads)
    {
        _transport.AcceptOffloads(offloads);
        bool mayBeLarge = (offloads & ~NetOffloads.Checksum) != 0;
        int longest = _transport.Features.MaximumFrameLength;
        _receiver!.LongestFrame = mayBeLarge ? longest : Math.Min(longest, _transport.Features.Mtu + NetTransportFeatures.FrameOverhead);
    }

    private void OnConnectionChanged(object? sender, EventArgs e) => Transport.Machine.Post(_onConnectionChanged);

    private void ExecuteCommands()
    {
        // The longest command that makes sense has all addresses that are kept.
        const int MaximumCommand = 4096;
        SplitQueue commands = Queues[ControlQueue];
        Span<byte> room = stackalloc byte[MaximumCommand];
        do
        {
            while (commands.TryPop(_command))
            {
                int length = _command.ReadableLength;
                if (length < VirtioNetLayout.CommandLength || _command.WritableLength < 1)
                {
                    throw new VirtioGuestErrorException($"chain {_command.Head} has {length} bytes of a command and {_command.WritableLength} for its result, and a command at least 2 and 1");
                }

                Span<byte> command = room[..Math.Min(length, MaximumCommand)];
                _command.Read(Transport.Machine.Memory, 0, command);
                byte result = length <= MaximumCommand && TryExecute(BinaryPrimitives.ReadUInt16BigEndian(command), command[VirtioNetLayout.CommandLength..])
                    ? VirtioNetLayout.Ok
                    : VirtioNetLayout.Failed;
                _command.Write(Transport.Machine.Memory, 0, [result]);
                commands.Push(_command.Head, 1);
            }

            commands.RequestNotification();
        }
        while (commands.HasAvailable);

        if (commands.TakeInterrupt())
        {
            Transport.InterruptQueue(ControlQueue);
        }
    }

    private bool TryExecute(ushort command, ReadOnlySpan<byte> data)
    {
        switch (command)
        {
            case <= VirtioNetLayout.NoBroadcast when data.Length == 1:
                _filter.SetMode(command, data[0] != 0);
                return true;
            case VirtioNetLayout.SetMacTable:
                return _filter.TrySetTable(data);
            case VirtioNetLayout.SetMac when data.Length == ReceiveFilter.MacLength:
                _filter.Own = ReceiveFilter.ReadMac(data);
                return true;
            case VirtioNetLayout.AddVlan or VirtioNetLayout.RemoveVlan when data.Length == sizeof(ushort):
                _filter.SetVlan(BinaryPrimitives.ReadUInt16LittleEndian(data), command == VirtioNetLayout.AddVlan);
                return true;
            case VirtioNetLayout.AcknowledgeAnnounce:
                _announces = false;
                return true;
            case VirtioNetLayout.SetGuestOffloads when data.Length == sizeof(ulong):
                ulong offloads = BinaryPrimitives.ReadUInt64LittleEndian(data);
                if ((offloads & ~Features) != 0)
                {
                    return false;
                }

                AcceptOffloads(VirtioNetLayout.ToOffloads(offloads));
                return true;
            default:
                return false;
        }
    }
}
