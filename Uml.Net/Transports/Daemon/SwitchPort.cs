using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Uml.Net.Frames;
using Uml.Net.Interop;
using Uml.Net.Polling;
using Uml.Net.Transports.Descriptors;

namespace Uml.Net.Transports.Daemon;

/// <summary>
/// A port of a switch that speaks version 3 of uml_switch's protocol: a stream that asks for the port and holds it, and datagrams that carry one frame
/// each. Numbers are in native byte order.
/// </summary>
// SAFETY: poll's structure is on the stack for the call.
internal static class SwitchPort
{
    /// <summary>Bytes of a request without a description; with the padding that the C structure of UML has.</summary>
    public const int RequestLength = 122, PaddedRequestLength = 124;

    private const uint Magic = 0xFEEDFACE, Version = 3;
    private const int TypeField = 8, AddressField = 12, AnswerMilliseconds = 5_000, Attempts = 16;

    /// <summary>Opens a port.</summary>
    /// <param name="scope">Owns it.</param>
    /// <param name="features">Of the transport.</param>
    /// <param name="depth">Frames of one call.</param>
    /// <param name="path">The socket that the switch listens at.</param>
    /// <param name="type">The request: 0, and above its low byte the number of a port.</param>
    /// <param name="length">Bytes of the request before the description.</param>
    /// <param name="description">What the switch shows of us.</param>
    public static DescriptorTransport Open(
        TransportScope scope, NetTransportFeatures features, int depth, string path, int type, int length, ReadOnlySpan<byte> description = default)
    {
        SafeFileHandle control = HostSocket.Open(scope, Socket.FamilyUnix, Socket.Stream, 0);
        HostSocket.Connect(control, HostAddress.Unix(path), $"the switch at '{path}'");
        SafeFileHandle data = HostSocket.Open(scope, Socket.FamilyUnix, Socket.Datagram, 0);
        byte[] request = new byte[length + description.Length];
        BinaryPrimitives.WriteUInt32LittleEndian(request, Magic);
        BinaryPrimitives.WriteUInt32LittleEndian(request.AsSpan(4), Version);
        BinaryPrimitives.WriteInt32LittleEndian(request.AsSpan(TypeField), type);
        BindToAnyName(data).CopyTo(request.AsSpan(AddressField));
        description.CopyTo(request.AsSpan(length));
        if (Socket.Send(control, request, request.Length, Socket.NoSignal) != request.Length)
        {
            throw HostError.OnOpen($"The switch at '{path}' takes no request", Marshal.GetLastPInvokeError());
        }

        HostSocket.Connect(data, ReadAnswer(control, path), $"the port that the switch at '{path}' has given");
        PolledDescriptor polled = scope.Poll(data);
        DescriptorTransport transport = new(
            features,
            scope,
            new DescriptorSender(features.Name, polled, DescriptorKind.Datagrams, depth),
            new DescriptorReceiver(features.Name, polled, DescriptorKind.Datagrams, depth));
        _ = WatchAsync(scope.Poll(control), transport);
        return transport;
    }

    /// <summary>
    /// A switch compares all bytes of an address, so the name has as many as there is room for (unix(7), abstract sockets). What stands in it is as of
    /// UML: the process, and a number.
    /// </summary>
    private static byte[] BindToAnyName(SafeFileHandle data)
    {
        const int ProcessField = 6, NumberField = 10;
        byte[] address = new byte[HostAddress.UnixLength];
        address[0] = Socket.FamilyUnix;
        BinaryPrimitives.WriteInt32LittleEndian(address.AsSpan(ProcessField), Environment.ProcessId);
        for (int attempt = 0; ; attempt++)
        {
            BinaryPrimitives.WriteInt32LittleEndian(address.AsSpan(NumberField), Random.Shared.Next());
            if (Socket.Bind(data, address, address.Length) == 0)
            {
                return address;
            }

            int error = Marshal.GetLastPInvokeError();
            if (error != Errno.AddressInUse || attempt == Attempts)
            {
                throw HostError.OnOpen("The host gives no name to a socket", error);
            }
        }
    }

    private static unsafe byte[] ReadAnswer(SafeFileHandle control, string path)
    {
        byte[] answer = new byte[HostAddress.UnixLength];
        long end = Environment.TickCount64 + AnswerMilliseconds;
        for (int done = 0; done < answer.Length;)
        {
            PollDescriptor poll = new() { Descriptor = (int)control.DangerousGetHandle(), Events = Poll.In };
            int left = (int)Math.Max(0, end - Environment.TickCount64);
            if (Poll.Wait(&poll, 1, left) == 0)
            {
                throw new NetTransportException(
                    $"The switch at '{path}' did not answer within {AnswerMilliseconds / 1000} seconds: is it uml_switch or vde_switch, does it run, and has it the port that was asked for? vde_switch says nothing when it has not.");
            }

            nint read = Socket.Receive(control, answer.AsSpan(done), answer.Length - done, Socket.DoNotWait);
            if (read == 0)
            {
                throw new NetTransportException(
                    $"The switch at '{path}' refuses a port: has it any left, is the one that was asked for free, and does it speak version {Version} of the protocol?");
            }

            done += (int)Math.Max(0, read);
        }

        return BinaryPrimitives.ReadUInt16LittleEndian(answer) == Socket.FamilyUnix
            ? answer
            : throw new NetTransportException($"What listens at '{path}' is no switch: its answer is no address. Name the socket of uml_switch or vde_switch.");
    }

    /// <summary>The port is gone when the stream ends.</summary>
    private static async Task WatchAsync(PolledDescriptor control, DescriptorTransport transport)
    {
        const int MostSaid = 4096;
        byte[] said = new byte[256];
        int total = 0;
        while (await control.Readable.WaitAsync(CancellationToken.None).ConfigureAwait(false))
        {
            try
            {
                nint read;
                while ((read = Socket.Receive(control.Descriptor, said, said.Length, Socket.DoNotWait)) > 0 && total < MostSaid)
                {
                    total += (int)read;
                }

                if (read >= 0 || Marshal.GetLastPInvokeError() is not (Errno.Again or Errno.Interrupted))
                {
                    transport.Disconnect();
                    return;
                }
            }
            catch (ObjectDisposedException)
            {
                // The transport was closed meanwhile.
                return;
            }
        }
    }
}
