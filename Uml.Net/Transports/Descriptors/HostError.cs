using System.Runtime.InteropServices;
using Uml.Net.Frames;
using Uml.Net.Interop;

namespace Uml.Net.Transports.Descriptors;

/// <summary>The errors of the host in words, with the way out.</summary>
internal static class HostError
{
    public const string NeedsRawSockets = "this needs CAP_NET_RAW: run as root, or give the program that right (setcap cap_net_raw+ep)";

    /// <summary>A transport cannot be opened.</summary>
    /// <param name="what">What failed, the beginning of a sentence.</param>
    /// <param name="error">The host's error.</param>
    /// <param name="onDenied">The way out where a right is missing.</param>
    public static NetTransportException OnOpen(string what, int error, string onDenied = "change its permissions, or run as somebody who may") =>
        new($"{what}: {Describe(error)}. {Capitalize(WayOut(error, onDenied))}");

    /// <summary>A transport has failed while it was used.</summary>
    public static NetTransportException OnUse(string name, int error) => new(error is Errno.BadDescriptorState or Errno.NoDevice or Errno.NoDeviceOfKind
        ? $"The interface of the network {name} is gone: {Describe(error)}. Open the transport again when it is back."
        : $"The network {name} has failed: {Describe(error)}. Open the transport again.");

    private static string WayOut(int error, string onDenied) => error switch
    {
        Errno.NotPermitted or Errno.Access => onDenied + ".",
        Errno.AddressInUse => "Somebody has it already: name another port or path, or end who has it; a socket file that a program left can be deleted.",
        Errno.AddressNotAvailable => "No interface of this host has this address: see 'ip address', or leave it out.",
        Errno.NoEntry or Errno.ConnectionRefused => "Nobody listens there: start the other side first, and check the path or the address.",
        Errno.Again => "The other side does not take the connection: it has too many of them, or hangs.",
        Errno.Busy => "Another program has it: end that, or name another one.",
        Errno.NoDevice or Errno.NoDeviceOfKind => "There is no such interface or device: see 'ip link', and 'modprobe tun' for tap devices.",
        Errno.ProtocolNotSupported or Errno.FamilyNotSupported => "The kernel of this host lacks this protocol.",
        Errno.TooManyOpen => "Raise the limit of open files (ulimit -n).",
        Errno.NetworkUnreachable or Errno.HostUnreachable => "The host has no route there: see 'ip route'.",
        Errno.BadDescriptor => "There is no such descriptor: have the program that starts this one leave it open.",
        _ => "Check the options of this transport.",
    };

    public static string Describe(int error) => $"{Marshal.GetPInvokeErrorMessage(error)} (errno {error})";

    private static string Capitalize(string text) => char.ToUpperInvariant(text[0]) + text[1..];
}
