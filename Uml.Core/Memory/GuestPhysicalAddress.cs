using System.Globalization;

namespace Uml.Core.Memory;

/// <summary>A guest-physical address, of RAM, of a device or of neither.</summary>
/// <param name="Value">Byte address; at most 52 significant bits (Intel SDM vol. 3, 4.1.4).</param>
public readonly record struct GuestPhysicalAddress(ulong Value) : IComparable<GuestPhysicalAddress>
{
    /// <summary>The address <paramref name="bytes"/> further on.</summary>
    public static GuestPhysicalAddress operator +(GuestPhysicalAddress address, ulong bytes) => new(address.Value + bytes);

    /// <summary>The distance in bytes between two addresses.</summary>
    public static ulong operator -(GuestPhysicalAddress left, GuestPhysicalAddress right) => left.Value - right.Value;

    /// <summary>Orders addresses by value.</summary>
    public static bool operator <(GuestPhysicalAddress left, GuestPhysicalAddress right) => left.Value < right.Value;

    /// <summary>Orders addresses by value.</summary>
    public static bool operator >(GuestPhysicalAddress left, GuestPhysicalAddress right) => left.Value > right.Value;

    /// <summary>Orders addresses by value.</summary>
    public static bool operator <=(GuestPhysicalAddress left, GuestPhysicalAddress right) => left.Value <= right.Value;

    /// <summary>Orders addresses by value.</summary>
    public static bool operator >=(GuestPhysicalAddress left, GuestPhysicalAddress right) => left.Value >= right.Value;

    /// <inheritdoc/>
    public int CompareTo(GuestPhysicalAddress other) => Value.CompareTo(other.Value);

    /// <summary>The address in hexadecimal, as the kernel prints physical addresses.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"0x{Value:x}");
}
