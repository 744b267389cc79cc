namespace Uml.Devices.Interrupts;

/// <summary>The delivery mode of an interrupt message (Intel SDM vol. 3, 12.6.1).</summary>
internal enum DeliveryMode
{
    Fixed = 0,
    LowestPriority = 1,
    Smi = 2,
    Reserved = 3,
    Nmi = 4,
    Init = 5,
    StartUp = 6,
    ExtInt = 7,
}

/// <summary>An interrupt on its way to local APICs.</summary>
/// <param name="Destination">APIC ID or logical destination.</param>
/// <param name="IsLogical">How to understand <paramref name="Destination"/>.</param>
/// <param name="IsWide">
/// True for the 32-bit destinations that x2APIC processors send; false for the 8-bit ones of xAPIC, I/O APIC and messages, where 255
/// means everybody.
/// </param>
/// <param name="Mode">What to do.</param>
/// <param name="Vector">The interrupt vector of fixed and lowest-priority delivery.</param>
/// <param name="IsLevelTriggered">Whether the end of interrupt is broadcast to the I/O APIC.</param>
internal readonly record struct ApicMessage(
    uint Destination, bool IsLogical, bool IsWide, DeliveryMode Mode, byte Vector, bool IsLevelTriggered)
{
    /// <summary>
    /// Decodes a message-signalled interrupt (Intel SDM vol. 3, 12.11). I/O APIC redirection entries share the layout of the data.
    /// </summary>
    /// <returns>False when the address is not one of interrupts.</returns>
    public static bool TryDecode(ulong address, uint data, out ApicMessage message)
    {
        const ulong AddressMask = 0xFFFF_FFFF_FFF0_0000;
        const ulong AddressBase = 0xFEE0_0000;
        message = new ApicMessage(
            Destination: (uint)(address >> 12) & 0xFF,
            IsLogical: (address & (1 << 2)) != 0,
            IsWide: false,
            Mode: (DeliveryMode)((data >> 8) & 7),
            Vector: (byte)data,
            IsLevelTriggered: (data & (1 << 15)) != 0);
        return (address & AddressMask) == AddressBase;
    }
}
