using System.Runtime.CompilerServices;

namespace Uml.Core.Memory;

/// <summary>Addresses, guest-physical, linear or in guest RAM, by pages of <see cref="GuestRam.PageSize"/>.</summary>
internal static class Page
{
    /// <summary>log2 of <see cref="GuestRam.PageSize"/>.</summary>
    public const int Shift = 12;

    /// <summary>The bits of an address that are its offset in the page, and those that are the address of the page.</summary>
    public const ulong OffsetMask = GuestRam.PageSize - 1, BaseMask = ~OffsetMask;

    /// <summary>The offset of an address in its page.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Offset(ulong address) => address & OffsetMask;

    /// <summary>The address of the page that holds an address.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Base(ulong address) => address & BaseMask;

    /// <summary>The number of the page that holds an address.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Number(ulong address) => address >> Shift;

    /// <summary>The address of a page.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Address(ulong number) => number << Shift;
}
