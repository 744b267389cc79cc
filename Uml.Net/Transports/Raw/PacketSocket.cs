using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Uml.Net.Frames;
using Uml.Net.Interop;
using Uml.Net.Transports.Descriptors;

namespace Uml.Net.Transports.Raw;

/// <summary>A packet socket on one interface, with virtio's header before each frame (packet(7)).</summary>
internal static class PacketSocket
{
    private const int PacketLevel = 263, AddMembership = 1, AuxiliaryData = 8, VirtioHeaderOption = 15, IgnoreOutgoing = 23;
    private const ushort AllProtocols = 3, Promiscuous = 1;
    private const int AddressLength = 20;

    /// <summary>Opens it.</summary>
    /// <param name="scope">Owns it.</param>
    /// <param name="name">The interface.</param>
    /// <param name="isPromiscuous">Whether the interface takes what is for other addresses, such as a guest's.</param>
    /// <param name="takesOutgoing">Whether what the host sends there is received too.</param>
    /// <param name="filter">Which frames are received; null for all.</param>
    public static SafeFileHandle Open(TransportScope scope, string name, bool isPromiscuous, bool takesOutgoing, byte[]? filter)
    {
        SafeFileHandle socket = HostSocket.Open(scope, Socket.FamilyPacket, Socket.Raw, 0);
        uint index = NetIf.GetIndex(name);
        if (index == 0)
        {
            throw new NetTransportException($"There is no interface {name}: see 'ip link' for those there are, and name one of them (ifname).");
        }

        HostSocket.SetOption(socket, PacketLevel, VirtioHeaderOption, 1, "offloads on a packet socket");
        HostSocket.SetOption(socket, PacketLevel, AuxiliaryData, 1, "to tell of VLAN tags");
        HostSocket.SetOption(socket, PacketLevel, IgnoreOutgoing, takesOutgoing ? 0 : 1, "to leave out what it sends itself");
        HostSocket.WidenReceiveBuffer(socket);
        if (isPromiscuous)
        {
            JoinAll(socket, index, name);
        }

        if (filter is not null)
        {
            Attach(socket, filter);
        }

        // struct sockaddr_ll. Nothing is received before, as the socket was made for no protocol.
        byte[] address = new byte[AddressLength];
        address[0] = Socket.FamilyPacket;
        BinaryPrimitives.WriteUInt16BigEndian(address.AsSpan(2), AllProtocols);
        BinaryPrimitives.WriteUInt32LittleEndian(address.AsSpan(4), index);
        HostSocket.Bind(socket, address, $"the interface {name}", HostError.NeedsRawSockets);
        return socket;
    }

    /// <summary>Replaces the filter.</summary>
    /// <param name="socket">The socket.</param>
    /// <param name="program">A program that was checked; empty for none.</param>
    /// <exception cref="NetTransportException">The host refuses it.</exception>
    // SAFETY: the program is pinned for the call, which copies it.
    public static unsafe void Attach(SafeHandle socket, ReadOnlySpan<byte> program)
    {
        if (program.IsEmpty)
        {
            HostSocket.TrySetOption(socket, Socket.SocketLevel, Socket.DetachFilter, 0);
            return;
        }

        fixed (byte* instructions = program)
        {
            BpfProgram filter = new() { Count = (ushort)(program.Length / ClassicBpf.InstructionLength), Instructions = instructions };
            if (Socket.SetOption(socket, Socket.SocketLevel, Socket.AttachFilter, &filter, sizeof(BpfProgram)) != 0)
            {
                throw HostError.OnOpen("The host refuses the BPF program", Marshal.GetLastPInvokeError());
            }
        }
    }

    private static void JoinAll(SafeFileHandle socket, uint index, string name)
    {
        // struct packet_mreq: the interface, what of it, and no address. The host undoes it with the socket.
        Span<byte> request = stackalloc byte[16];
        request.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(request, index);
        BinaryPrimitives.WriteUInt16LittleEndian(request[4..], Promiscuous);
        if (Socket.SetOption(socket, PacketLevel, AddMembership, request, request.Length) != 0)
        {
            throw HostError.OnOpen($"The interface {name} cannot receive for all addresses", Marshal.GetLastPInvokeError(), HostError.NeedsRawSockets);
        }
    }
}
