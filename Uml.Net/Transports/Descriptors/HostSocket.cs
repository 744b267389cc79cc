using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Uml.Net.Frames;
using Uml.Net.Interop;

namespace Uml.Net.Transports.Descriptors;

/// <summary>Makes sockets, with errors that say the way out.</summary>
// SAFETY: descriptors and structures are on the stack for the calls.
internal static unsafe class HostSocket
{
    /// <summary>The longest that a connection may take to come about.</summary>
    private const int ConnectMilliseconds = 10_000;

    /// <summary>What the host may keep for a receiver that is busy, where its limits allow.</summary>
    private const int WantedReceiveBuffer = 4 << 20;

    /// <summary>Makes a socket that does not block.</summary>
    public static SafeFileHandle Open(TransportScope scope, int family, int kind, int protocol, string onDenied = HostError.NeedsRawSockets)
    {
        int descriptor = Socket.Open(family, kind | Socket.NonBlocking | Socket.CloseOnExec, protocol);
        return descriptor < 0
            ? throw HostError.OnOpen("The host gives no socket", Marshal.GetLastPInvokeError(), onDenied)
            : scope.Own(new SafeFileHandle(descriptor, ownsHandle: true));
    }

    /// <summary>Makes two sockets that are connected with each other.</summary>
    public static (SafeFileHandle First, SafeFileHandle Second) OpenPair(int kind)
    {
        int* descriptors = stackalloc int[2];
        return Socket.OpenPair(Socket.FamilyUnix, kind | Socket.NonBlocking | Socket.CloseOnExec, 0, descriptors) == 0
            ? (new SafeFileHandle(descriptors[0], ownsHandle: true), new SafeFileHandle(descriptors[1], ownsHandle: true))
            : throw HostError.OnOpen("The host gives no sockets", Marshal.GetLastPInvokeError());
    }

    public static void Bind(SafeHandle socket, byte[] address, string what, string onDenied = "change the permissions of its folder, or name another one")
    {
        if (Socket.Bind(socket, address, address.Length) != 0)
        {
            throw HostError.OnOpen($"A socket cannot be bound to {what}", Marshal.GetLastPInvokeError(), onDenied);
        }
    }

    public static void Connect(SafeHandle socket, byte[] address, string what)
    {
        if (Socket.Connect(socket, address, address.Length) == 0)
        {
            return;
        }

        int error = Marshal.GetLastPInvokeError();
        if (error == Errno.InProgress)
        {
            error = WaitForConnection(socket, what);
        }

        if (error != 0)
        {
            throw HostError.OnOpen($"A socket cannot be connected with {what}", error);
        }
    }

    /// <summary>Sets an option that has to be set.</summary>
    public static void SetOption(SafeHandle socket, int level, int name, int value, string what)
    {
        if (!TrySetOption(socket, level, name, value))
        {
            throw HostError.OnOpen($"The host refuses {what}", Marshal.GetLastPInvokeError(), HostError.NeedsRawSockets);
        }
    }

    public static bool TrySetOption(SafeHandle socket, int level, int name, int value)
    {
        Span<byte> bytes = stackalloc byte[sizeof(int)];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, value);
        return Socket.SetOption(socket, level, name, bytes, bytes.Length) == 0;
    }

    /// <summary>Lets the host keep bursts, as far as it is willing to: it lowers the wish to its own limit.</summary>
    public static void WidenReceiveBuffer(SafeHandle socket) => TrySetOption(socket, Socket.SocketLevel, Socket.ReceiveBuffer, WantedReceiveBuffer);

    /// <summary>SO_TYPE; null for what is no socket.</summary>
    public static int? GetKind(SafeHandle descriptor)
    {
        int length = sizeof(int);
        return Socket.GetOption(descriptor, Socket.SocketLevel, Socket.KindOption, out int kind, ref length) == 0 ? kind : null;
    }

    /// <summary>The address that the host gave it.</summary>
    public static byte[] GetName(SafeHandle socket)
    {
        byte[] address = new byte[128];
        int length = address.Length;
        return Socket.GetName(socket, address, ref length) == 0 ? address[..length] : throw HostError.OnOpen("A socket has no address", Marshal.GetLastPInvokeError());
    }

    /// <summary>A descriptor of the caller's is used without being waited for.</summary>
    public static void StopBlocking(SafeHandle descriptor, string what)
    {
        int flags = Fcntl.Control(descriptor, Fcntl.GetFlags, 0);
        if (flags < 0 || Fcntl.Control(descriptor, Fcntl.SetFlags, flags | Fcntl.NonBlocking) < 0)
        {
            throw HostError.OnOpen($"{what} cannot be used", Marshal.GetLastPInvokeError());
        }
    }

    /// <summary>Whether the other end of a connection goes within a time.</summary>
    public static bool IsHungUpWithin(SafeHandle socket, int milliseconds)
    {
        PollDescriptor poll = new() { Descriptor = (int)socket.DangerousGetHandle(), Events = Poll.ReadHangUp };
        return Poll.Wait(&poll, 1, milliseconds) == 1 && (poll.Returned & (Poll.ReadHangUp | Poll.HangUp)) != 0;
    }

    private static int WaitForConnection(SafeHandle socket, string what)
    {
        PollDescriptor poll = new() { Descriptor = (int)socket.DangerousGetHandle(), Events = Poll.Out };
        if (Poll.Wait(&poll, 1, ConnectMilliseconds) == 0)
        {
            throw new NetTransportException($"{what} did not answer within {ConnectMilliseconds / 1000} seconds: check the address, and firewalls on the way.");
        }

        int length = sizeof(int);
        return Socket.GetOption(socket, Socket.SocketLevel, Socket.ErrorOption, out int error, ref length) == 0 ? error : Marshal.GetLastPInvokeError();
    }
}
