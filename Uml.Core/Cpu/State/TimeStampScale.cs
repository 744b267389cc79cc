using System.Runtime.InteropServices;

namespace Uml.Core.Cpu.State;

/// <summary>
/// The linear conversion from the host's time-stamp counter to the guest's, for translated code. Written by <c>TimeStampCounter</c>.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal struct TimeStampScale
{
    /// <summary>The host's counter when the guest's was <see cref="Value"/>.</summary>
    public ulong Base;

    /// <summary>Host ticks after <see cref="Base"/> for which the conversion is valid; zero: it is not valid.</summary>
    public ulong Limit;

    /// <summary>Guest ticks for each host tick, in units of 2^-32.</summary>
    public ulong Multiplier;

    /// <summary>The guest's counter at <see cref="Base"/>, before its IA32_TSC_ADJUST.</summary>
    public ulong Value;

    /// <summary>
    /// The largest value that translated code can have read by the time the host's counter is <paramref name="counter"/>.
    /// </summary>
    public readonly ulong At(ulong counter) =>
        Value + (((ulong)Math.Clamp((long)(counter - Base), 0, (long)Limit) * Multiplier) >> 32);
}
