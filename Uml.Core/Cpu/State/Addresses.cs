using System.Runtime.CompilerServices;

namespace Uml.Core.Cpu.State;

/// <summary>Linear addresses of four-level paging (Intel SDM vol. 1, 3.3.7.1).</summary>
internal static class Canonical
{
    /// <summary>Bits 63..47 are equal.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Is(ulong address) => (ulong)((long)(address << 16) >> 16) == address;
}

/// <summary>Physical addresses of the CPU models.</summary>
internal static class PhysicalAddresses
{
    /// <summary>MAXPHYADDR.</summary>
    public const int Bits = 46;
}
