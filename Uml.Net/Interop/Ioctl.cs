using System.Runtime.InteropServices;

namespace Uml.Net.Interop;

/// <summary>sys/ioctl.h, with linux/if_tun.h: the requests that tap devices are set up with, on x86-64 and ARM64.</summary>
// SAFETY: callers pass a structure on their stack that is as large as the request's number says.
internal static unsafe partial class Ioctl
{
    /// <summary>TUNSETIFF, TUNSETOFFLOAD, TUNGETIFF, TUNSETVNETHDRSZ and TUNSETVNETLE.</summary>
    public const nuint SetInterface = 0x400454CA, SetOffload = 0x400454D0, GetInterface = 0x800454D2, SetHeaderSize = 0x400454D8, SetLittleEndian = 0x400454DC;

    /// <summary>IFF_TAP, IFF_NO_PI and IFF_VNET_HDR.</summary>
    public const ushort Tap = 2, NoInformation = 0x1000, VirtioHeader = 0x4000;

    /// <summary>TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6, TUN_F_TSO_ECN, TUN_F_USO4 and TUN_F_USO6.</summary>
    public const uint Checksum = 1, Tcp4 = 2, Tcp6 = 4, TcpEcn = 8, Udp4 = 0x20, Udp6 = 0x40;

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    public static partial int Control(SafeHandle descriptor, nuint request, InterfaceRequest* argument);

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    public static partial int Control(SafeHandle descriptor, nuint request, int* argument);

    /// <summary>For requests whose argument is a number.</summary>
    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    public static partial int Control(SafeHandle descriptor, nuint request, nuint argument);
}

/// <summary>struct ifreq of 64-bit Linux, with its flags.</summary>
[StructLayout(LayoutKind.Sequential, Size = 40)]
internal unsafe struct InterfaceRequest
{
    public fixed byte Name[NetIf.NameSize];
    public ushort Flags;
}
