namespace Uml.Net.Interop;

/// <summary>errno.h of Linux: the errors that are told apart.</summary>
internal static class Errno
{
    public const int NotPermitted = 1, NoEntry = 2, Interrupted = 4, Io = 5, NoDevice = 6, BadDescriptor = 9, Again = 11, NoMemory = 12, Access = 13, Busy = 16,
        Exists = 17, NoDeviceOfKind = 19, Invalid = 22, TooManyOpen = 24, BrokenPipe = 32, BadDescriptorState = 77, NotSocket = 88, MessageTooLong = 90,
        ProtocolNotSupported = 93, FamilyNotSupported = 97, AddressInUse = 98, AddressNotAvailable = 99, NetworkDown = 100, NetworkUnreachable = 101,
        ConnectionReset = 104, NoBuffers = 105, NotConnected = 107, ConnectionRefused = 111, HostDown = 112, HostUnreachable = 113, InProgress = 115;
}
